// What the command lines have in common. Nothing is written before the tag has been verified.
import { createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";

export async function openFile(open, file, keyFile) {
  const privateKey = createPrivateKey(await readFile(keyFile));
  return open((await readFile(file, "utf8")).trim(), privateKey);
}

export async function main(open) {
  const [file, keyFile] = process.argv.slice(2);
  process.stdout.write(await openFile(open, file, keyFile));
}
