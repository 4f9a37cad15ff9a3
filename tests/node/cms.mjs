// Opens a CMS AuthEnvelopedData (RFC 5083) with the ASN.1 schemas of @peculiar/asn1-* and the ciphers of Node.
// That library has every part of the structure but not the whole, so the whole is put together here from its parts.
import { constants, createDecipheriv, privateDecrypt } from "node:crypto";
import asn1Cms from "@peculiar/asn1-cms";
import asn1Rsa from "@peculiar/asn1-rsa";
import asn1Schema from "@peculiar/asn1-schema";

const { ContentInfo, EncryptedContentInfo, RecipientInfos } = asn1Cms;
const { AsnConvert, AsnProp, AsnPropTypes, OctetString } = asn1Schema;

const AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23";
const AES_256_GCM = "2.16.840.1.101.3.4.1.46";
const MGF1 = "1.2.840.113549.1.1.8";
const HASHES = { "2.16.840.1.101.3.4.2.1": "sha256" };

class AuthEnvelopedData {}
AsnProp({ type: AsnPropTypes.Integer })(AuthEnvelopedData.prototype, "version");
AsnProp({ type: RecipientInfos })(AuthEnvelopedData.prototype, "recipientInfos");
AsnProp({ type: EncryptedContentInfo })(AuthEnvelopedData.prototype, "authEncryptedContentInfo");
AsnProp({ type: OctetString })(AuthEnvelopedData.prototype, "mac");

class GcmParameters {}
AsnProp({ type: OctetString })(GcmParameters.prototype, "nonce");
AsnProp({ type: AsnPropTypes.Integer, defaultValue: 12 })(GcmParameters.prototype, "tagLength");

function expect(name, actual, expected) {
  if (actual !== expected) throw new Error(`${name} is ${actual} and not ${expected}`);
}

function parse(data, type) {
  return AsnConvert.parse(data, type);
}

function fromPem(text) {
  const block = /-----BEGIN CMS-----([A-Za-z0-9+/=\s]+)-----END CMS-----/.exec(text);
  if (!block) throw new Error("no CMS block");
  return Buffer.from(block[1], "base64");
}

function contentKey(recipient, privateKey) {
  const { algorithm, parameters } = recipient.keyEncryptionAlgorithm;
  expect("key encryption", algorithm, asn1Rsa.id_RSAES_OAEP);
  const oaep = parse(parameters, asn1Rsa.RsaEsOaepParams);
  expect("mask generation", oaep.maskGenAlgorithm.algorithm, MGF1);
  const mask = parse(oaep.maskGenAlgorithm.parameters, oaep.hashAlgorithm.constructor);
  expect("hash of the mask generation", mask.algorithm, oaep.hashAlgorithm.algorithm);
  const oaepHash = HASHES[oaep.hashAlgorithm.algorithm];
  const options = { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash };
  return privateDecrypt(options, Buffer.from(recipient.encryptedKey.buffer));
}

export async function open(envelope, privateKey) {
  const info = parse(fromPem(envelope), ContentInfo);
  expect("content type", info.contentType, AUTH_ENVELOPED_DATA);
  const { version, recipientInfos, authEncryptedContentInfo, mac } = parse(info.content, AuthEnvelopedData);
  expect("version", version, 0);
  const { contentEncryptionAlgorithm, encryptedContent } = authEncryptedContentInfo;
  expect("content encryption", contentEncryptionAlgorithm.algorithm, AES_256_GCM);
  const gcm = parse(contentEncryptionAlgorithm.parameters, GcmParameters);
  expect("length of the tag", mac.byteLength, gcm.tagLength);
  const key = contentKey(recipientInfos[0].ktri, privateKey);
  const options = { authTagLength: gcm.tagLength };
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(gcm.nonce.buffer), options);
  decipher.setAuthTag(Buffer.from(mac.buffer));
  const content = decipher.update(Buffer.from(encryptedContent.value.buffer));
  return Buffer.concat([content, decipher.final()]);
}
