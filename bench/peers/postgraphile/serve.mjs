// PostGraphile on a PostgreSQL that is there already, with the settings that its documentation has for production.
// Arguments: the port, and the database's URL.
import http from 'node:http'
import { createRequire } from 'node:module'

const { postgraphile } = createRequire(import.meta.url)('postgraphile')
const [port, url] = process.argv.slice(2)
const settings = { disableDefaultMutations: true, disableQueryLog: true, dynamicJson: true, retryOnInitFail: false }
http.createServer(postgraphile(url, 'public', settings)).listen(Number(port), '127.0.0.1')
