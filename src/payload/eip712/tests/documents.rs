//! Typed data that other libraries hashed, as they were given it.

pub(super) const EVERY: &str = r#"{"types":{
    "EIP712Domain":[
        {"name":"name","type":"string"},
        {"name":"version","type":"string"},
        {"name":"chainId","type":"uint256"},
        {"name":"verifyingContract","type":"address"},
        {"name":"salt","type":"bytes32"}
    ],
    "Order":[
        {"name":"maker","type":"Person"},
        {"name":"legs","type":"Leg[]"},
        {"name":"pair","type":"Leg[2]"},
        {"name":"grid","type":"uint16[][3]"},
        {"name":"open","type":"bool"},
        {"name":"shut","type":"bool"},
        {"name":"low","type":"int8"},
        {"name":"high","type":"int256"},
        {"name":"max","type":"uint256"},
        {"name":"memo","type":"string"},
        {"name":"blob","type":"bytes"},
        {"name":"none","type":"bytes"},
        {"name":"id","type":"bytes32"},
        {"name":"tag","type":"bytes3"}
    ],
    "Leg":[{"name":"token","type":"address"},{"name":"amount","type":"uint128"}],
    "Person":[
        {"name":"name","type":"string"},
        {"name":"wallets","type":"address[]"},
        {"name":"deputy","type":"Deputy"}
    ],
    "Deputy":[{"name":"name","type":"string"}]
},"primaryType":"Order",
"domain":{
    "name":"Every “type”",
    "version":"1",
    "chainId":137,
    "verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
    "salt":"0xabababababababababababababababababababababababababababababababab"
},
"message":{
    "maker":{"name":"Zoë \n","wallets":["0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826","0xDeaDbeefdEAdbeefdEadbEEFdeadbeEFdEaDbeeF"],"deputy":{"name":""}},
    "legs":[],
    "pair":[{"token":"0x0000000000000000000000000000000000000001","amount":"340282366920938463463374607431768211455"},{"token":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB","amount":0}],
    "grid":[[],[1,65535],["0x00ff"]],
    "open":true,
    "shut":false,
    "low":-128,
    "high":"-57896044618658097711785492504343953926634992332820282019728792003956564819968",
    "max":"115792089237316195423570985008687907853269984665640564039457584007913129639935",
    "memo":"text with \"quotes\" and \u0000",
    "blob":"0x00DEADbeef",
    "none":"0x",
    "id":"0x0101010101010101010101010101010101010101010101010101010101010101",
    "tag":"0x616263"
}}"#;

pub(super) const PERMIT: &str = r#"{"types":{
    "EIP712Domain":[
        {"name":"name","type":"string"},
        {"name":"version","type":"string"},
        {"name":"chainId","type":"uint256"},
        {"name":"verifyingContract","type":"address"}
    ],
    "Permit":[
        {"name":"owner","type":"address"},
        {"name":"spender","type":"address"},
        {"name":"value","type":"uint256"},
        {"name":"nonce","type":"uint256"},
        {"name":"deadline","type":"uint256"}
    ]
},"primaryType":"Permit",
"domain":{
    "name":"USD Coin",
    "version":"2",
    "chainId":1,
    "verifyingContract":"0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
},
"message":{
    "owner":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826",
    "spender":"0x68b3465833fb72A70ecDF485E0e4C7bD8665Fc45",
    "value":"115792089237316195423570985008687907853269984665640564039457584007913129639935",
    "nonce":"0",
    "deadline":"1893456000"
}}"#;

pub(super) const TREE: &str = r#"{"types":{
    "EIP712Domain":[{"name":"name","type":"string"}],
    "Tree":[{"name":"value","type":"uint256"},{"name":"children","type":"Tree[]"}]
},"primaryType":"Tree",
"domain":{"name":"t"},
"message":{
    "value":1,
    "children":[{"value":2,"children":[]},{"value":3,"children":[{"value":4,"children":[]}]}]
}}"#;

pub(super) const MUTUAL: &str = r#"{"types":{
    "EIP712Domain":[{"name":"name","type":"string"}],
    "A":[{"name":"b","type":"B[]"}],
    "B":[{"name":"a","type":"A[]"},{"name":"n","type":"uint8"}]
},"primaryType":"A",
"domain":{"name":"t"},
"message":{"b":[{"a":[{"b":[]}],"n":7}]}}"#;

pub(super) const ORDER: &str = r#"{"types":{
    "EIP712Domain":[{"name":"chainId","type":"uint256"},{"name":"version","type":"string"}],
    "T":[{"name":"x","type":"uint8"}]
},"primaryType":"T",
"domain":{"version":"1","chainId":5},
"message":{"x":1}}"#;

pub(super) const DERIVED: &str = r#"{"types":{
    "T":[{"name":"x","type":"uint8"}]
},"primaryType":"T",
"domain":{
    "salt":"0x0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
    "chainId":"0x5",
    "version":"",
    "name":"d"
},
"message":{"x":1}}"#;

pub(super) const COLON: &str = r#"{"types":{
    "EIP712Domain":[
        {"name":"name","type":"string"},
        {"name":"version","type":"string"},
        {"name":"chainId","type":"uint256"},
        {"name":"verifyingContract","type":"address"}
    ],
    "HyperliquidTransaction:UsdSend":[
        {"name":"hyperliquidChain","type":"string"},
        {"name":"destination","type":"string"},
        {"name":"amount","type":"string"},
        {"name":"time","type":"uint64"}
    ]
},"primaryType":"HyperliquidTransaction:UsdSend",
"domain":{
    "name":"HyperliquidSignTransaction",
    "version":"1",
    "chainId":421614,
    "verifyingContract":"0x0000000000000000000000000000000000000000"
},
"message":{
    "hyperliquidChain":"Testnet",
    "destination":"0x0d1d9635d0640821d15e323ac8adadfa9c111414",
    "amount":"1",
    "time":1690393044548
}}"#;

pub(super) const SORT: &str = r#"{"types":{
    "EIP712Domain":[{"name":"name","type":"string"}],
    "T":[{"name":"a","type":"BA"},{"name":"b","type":"B$"},{"name":"c","type":"B"}],
    "B":[{"name":"x","type":"uint8"}],
    "BA":[{"name":"x","type":"uint8"}],
    "B$":[{"name":"x","type":"uint8"}]
},"primaryType":"T",
"domain":{"name":"d"},
"message":{"a":{"x":1},"b":{"x":2},"c":{"x":3}}}"#;
