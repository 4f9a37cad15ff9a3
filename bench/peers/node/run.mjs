// Runs a server in as many processes as are asked for, and fills what it needs first. Arguments: the server's module,
// the port, the number of processes, the file of `key:secret` lines, how many of them, and a file for a database.
import cluster from 'node:cluster'
import { openSync, readSync } from 'node:fs'

const [module, port, processes, pairs, count, database] = process.argv.slice(2)
const { fill, serve } = await import(`./${module}.mjs`)

function* read() {
  const file = openSync(pairs, 'r')
  const line = Buffer.alloc(94)
  for (let number = 0; number < Number(count); number++) {
    readSync(file, line, 0, line.length, number * line.length)
    yield line.toString('latin1', 0, line.length - 1).split(':')
  }
}

if (cluster.isPrimary) await fill?.(database, read)
if (cluster.isPrimary && Number(processes) > 1) {
  for (let number = 0; number < Number(processes); number++) cluster.fork()
  cluster.on('exit', () => process.exit(1))
} else {
  await serve(Number(port), database, read)
}
