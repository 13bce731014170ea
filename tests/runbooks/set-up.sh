# What docs/vault.md has an administrator do, for the environment "staging".
set -e
vault write transit/keys/countersign-staging type=aes256-gcm96 derived=true auto_rotate_period=2160h
for role in signer custodian; do
  countersign vault policy --role $role --environment staging | vault policy write countersign-staging-$role -
done
countersign vault policy --role rotator --environment staging --floor | vault policy write countersign-staging-rotator -
vault auth enable approle
for role in signer custodian rotator; do
  vault write auth/approle/role/countersign-staging-$role \
    token_policies=countersign-staging-$role token_no_default_policy=true \
    token_ttl=20m token_max_ttl=1h
  vault read -field=role_id auth/approle/role/countersign-staging-$role/role-id > "$FILES/$role.role-id"
  (umask 077; vault write -force -field=secret_id \
    auth/approle/role/countersign-staging-$role/secret-id > "$FILES/$role.secret-id")
done
set +e
