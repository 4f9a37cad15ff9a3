// Opens a JWE with jose.
import { compactDecrypt } from "jose";

const ONLY = { keyManagementAlgorithms: ["RSA-OAEP-256"], contentEncryptionAlgorithms: ["A256GCM"] };

export async function open(envelope, privateKey) {
  const { plaintext } = await compactDecrypt(envelope, privateKey, ONLY);
  return plaintext;
}
