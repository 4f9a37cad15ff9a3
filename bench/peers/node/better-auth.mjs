// better-auth with its API-key plugin on SQLite, the key's own rate limit off: a key is verified as its manual shows.
import { apiKey } from '@better-auth/api-key'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import Database from 'better-sqlite3'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'

function open(path) {
  const database = new Database(path, { timeout: 10000 })
  database.pragma('journal_mode = WAL')
  const plugins = [apiKey({ rateLimit: { enabled: false } })]
  const secret = randomBytes(32).toString('base64url')
  return { database, auth: betterAuth({ database, secret, baseURL: 'http://127.0.0.1', plugins }) }
}

export async function fill(path, read) {
  const { database, auth } = open(path)
  await (await getMigrations(auth.options)).runMigrations()
  if (database.prepare('SELECT id FROM apikey LIMIT 1').get() === undefined) {
    const now = new Date().toISOString()
    database
      .prepare('INSERT INTO user (id, name, email, emailVerified, createdAt, updatedAt) VALUES (?, ?, ?, 1, ?, ?)')
      .run('owner', 'Owner', 'owner@example.com', now, now)
    const insert = database.prepare(
      `INSERT INTO apikey (id, configId, referenceId, key, enabled, rateLimitEnabled, requestCount, createdAt, updatedAt)
       VALUES (?, 'default', 'owner', ?, 1, 0, 0, ?, ?)`,
    )
    database.transaction(() => {
      for (const [, key] of read()) {
        insert.run(randomUUID(), createHash('sha256').update(key).digest('base64url'), now, now)
      }
    })()
  }
  database.close()
}

export async function serve(port, path) {
  const { auth } = open(path)
  createServer(async (request, response) => {
    const key = request.headers.authorization?.slice('Bearer '.length) ?? ''
    const { valid } = await auth.api.verifyApiKey({ body: { key } })
    response.writeHead(valid ? 200 : 401).end()
  }).listen(port, '127.0.0.1')
}
