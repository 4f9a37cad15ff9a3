#!/bin/sh
# The life of a credential: generated, opened, logged in with, rotated, revoked, and watched all along. Takes curl, jq and
# openssl 3.0 or newer, and SEALKEY, EMAIL and PASSWORD from the environment.
set -eu

: "${SEALKEY:=http://127.0.0.1:8000}"
umask 077
directory=$(mktemp -d)
watching=
trap 'kill $watching 2>/dev/null || :; rm -rf "$directory"' EXIT
cd "$directory"

# Headers and bodies go by files: everybody on the machine sees what stands on a command line.
echo 'Content-Type: application/json' >headers

# post PATH, with a body on standard input: keeps the reply. Without one, the script ends.
post() {
  curl -sS "$SEALKEY$1" -H @headers --data-binary @- -o reply.json
}

# graphql DOCUMENT, with its variables as JSON on standard input: keeps the answer, or ends with what was wrong.
graphql() {
  jq --arg query "$1" '{$query, variables: .}' | post /graphql
  jq 'if .errors then error(.errors[0].message) else .data[] end
    | if (.userErrors // []) != [] then error(.userErrors[0].message) else . end' reply.json >answer.json
}

# answer FILTER: something of the last answer.
answer() {
  jq -r "$1" answer.json
}

# What an API client does with the file that was delivered: opens it, and logs in with the key and the secret in it.
open_and_log_in() {
  file=$(answer .delivery.file.name)
  answer .delivery.file.contentBase64 | openssl base64 -d -A >"$file"
  openssl cms -decrypt -inform PEM -inkey private.pem -in "$file" -out secret.csv
  echo "Opened $file."
  sed -n 2p secret.csv | tr -d '\r' | jq -R 'split(",") | {api_key: .[0], api_secret: .[1]}' >keys.json
  post /v2/login <keys.json
  jq -r 'if .access_token then .access_token else error(.detail) end' reply.json >token
  echo "Logged in as $(jq -r .api_key keys.json)."
}

jq -n '{input: {email: env.EMAIL, password: env.PASSWORD}}' | graphql 'mutation ($input: SignInInput!) {
  signIn(input: $input) { sessionToken viewer { user { displayName } } userErrors { message } }
}'
answer '"Authorization: Bearer " + .sessionToken' >>headers
echo "Signed in as $(answer .viewer.user.displayName)."

# What is told of credentials from now on, as server-sent events. With the first byte it has begun.
jq -n '{query: "subscription { credentialChanged { eventType credential { name } } }"}' >watch.json
curl -sSN "$SEALKEY/graphql" -H @headers -H 'Accept: text/event-stream' --data-binary @watch.json >events &
watching=$!
until [ -s events ]; do
  kill -0 "$watching"
  sleep 0.1
done

echo '{}' | graphql '{
  services(filter: {statuses: [ACTIVE]}) { nodes { id name identities { nodes { id status } } } }
}'
service=$(answer '.nodes[0].id')
name=$(answer '.nodes[0].name')
identity=$(answer 'first(.nodes[0].identities.nodes[] | select(.status == "ACTIVE") | .id)')

# The private key stays here; the server seals key and secret to the public one.
openssl genrsa -out private.pem 3072 2>/dev/null
openssl rsa -in private.pem -pubout -out public.pem 2>/dev/null

jq -n --arg service "$service" --arg identity "$identity" --rawfile publicKey public.pem '{input: {
  name: "shell_example", serviceId: $service, identityId: $identity, delivery: {method: "ENCRYPTED_FILE", $publicKey}
}}' | graphql 'mutation ($input: GenerateCredentialInput!) {
  generateCredential(input: $input) {
    credential { id name }
    delivery { ... on EncryptedFileDelivery { file { name contentBase64 } } }
    userErrors { message }
  }
}'
credential=$(answer .credential.id)
echo "Generated $(answer .credential.name) for $name."
open_and_log_in

jq -n --arg credential "$credential" --rawfile publicKey public.pem '{input: {
  credentialId: $credential, delivery: {method: "ENCRYPTED_FILE", $publicKey}
}}' | graphql 'mutation ($input: RotateCredentialInput!) {
  rotateCredential(input: $input) {
    credential { id }
    predecessor { expiresAt }
    delivery { ... on EncryptedFileDelivery { file { name contentBase64 } } }
    userErrors { message }
  }
}'
credential=$(answer .credential.id)
echo "Rotated it; the old secret works until $(answer .predecessor.expiresAt)."
open_and_log_in

# With lineage, the old one as well.
jq -n --arg credential "$credential" '{input: {credentialId: $credential, reason: "SUPERSEDED", lineage: true}}' |
  graphql 'mutation ($input: RevokeCredentialInput!) {
    revokeCredential(input: $input) { credential { name status } userErrors { message } }
  }'
echo "$(answer .credential.name) is $(answer .credential.status)."

until [ "$(grep -c credential.revoked events)" = 2 ]; do
  kill -0 "$watching"
  sleep 0.1
done
echo "Was told of:"
sed -n 's/^data: //p' events | jq -r '.data.credentialChanged | "\(.eventType) \(.credential.name)"'
