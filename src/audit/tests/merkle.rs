//! The tree, against roots that others computed.

use crate::audit::tree::{Frontier, Hash, leaf, root_by};

/// The leaves and the roots, by size, of the reference tests of Certificate
/// Transparency (transparency-dev/merkle, `testonly/constants.go`).
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn roots_are_those_of_certificate_transparency() {
    let mut tree = Frontier::default();
    assert_eq!(hex::encode(tree.root()), ROOTS[0]);
    for (record, root) in LEAVES.into_iter().zip(&ROOTS[1..]) {
        tree.push(leaf(&hex::decode(record).unwrap()));
        assert_eq!(hex::encode(tree.root()), *root);
        let again = Frontier::new(tree.size(), tree.roots().to_vec()).unwrap();
        assert_eq!(again, tree);
        assert!(Frontier::new(tree.size() + 1, [tree.roots(), &[[0; 32]; 9]].concat()).is_none());
    }
}

/// Every path of every growth leads to the root, and to no other from elsewhere.
#[test]
fn paths_lead_to_the_root() {
    let leaves: Vec<Hash> = (0_u8..40).map(|number| leaf(&[number])).collect();
    for before in 0..leaves.len() {
        let mut tree = Frontier::default();
        leaves[..before].iter().for_each(|leaf| tree.push(*leaf));
        for after in before + 1..=leaves.len() {
            let grown = tree.grow(&leaves[before..after]);
            let root = grown.frontier().root();
            let size = after as u64;
            assert_eq!(grown.frontier().size(), size);
            for (added, right) in leaves[before..after].iter().enumerate() {
                let (path, place) = (grown.path(added), (before + added) as u64);
                let lead = |place, leaf| root_by(&path, leaf, place, size);
                assert_eq!(lead(place, *right), Some(root), "{place} of {size}");
                assert_ne!(lead(place, leaf(b"another")), Some(root));
                assert_ne!(lead(place ^ 1, *right), Some(root));
            }
        }
    }
}
