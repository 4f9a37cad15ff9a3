// Mercurius with its JIT on Fastify, answering verifyCredential as Sealkey's schema has it: a keyed hash, and all that
// is known of credentials in a Map.
import Fastify from 'fastify'
import mercurius from 'mercurius'
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const schema = `
  enum Decision { ALLOW DENY }
  enum DecisionCode { OK INVALID_CREDENTIALS }
  type UserError { field: [String!] code: String! message: String! }
  type Credential { id: ID! name: String! }
  input VerifyCredentialInput { apiKey: String! apiSecret: String! service: String clientAddress: String }
  type VerifyCredentialPayload {
    userErrors: [UserError!]!
    decision: Decision!
    code: DecisionCode!
    credential: Credential
  }
  type Query { version: String! }
  type Mutation { verifyCredential(input: VerifyCredentialInput!): VerifyCredentialPayload! }
`

export async function serve(port, _path, read) {
  const serverKey = randomBytes(32)
  const hash = (key, secret) => createHmac('sha256', serverKey).update(key).update(':').update(secret).digest()
  const known = new Map()
  for (const [key, secret] of read()) {
    const name = `credential-${String(known.size).padStart(8, '0')}`
    known.set(key, { hash: hash(key, secret), credential: { id: `cred_${randomBytes(16).toString('hex')}`, name } })
  }
  const nobody = { hash: randomBytes(32), credential: null }
  const resolvers = {
    Mutation: {
      verifyCredential(_, { input }) {
        const found = known.get(input.apiKey) ?? nobody
        return timingSafeEqual(hash(input.apiKey, input.apiSecret), found.hash)
          ? { userErrors: [], decision: 'ALLOW', code: 'OK', credential: found.credential }
          : { userErrors: [], decision: 'DENY', code: 'INVALID_CREDENTIALS', credential: null }
      },
    },
  }
  const app = Fastify()
  app.register(mercurius, { schema, resolvers, jit: 1 })
  await app.listen({ port, host: '127.0.0.1' })
}
