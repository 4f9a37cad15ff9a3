// node open-each.mjs cms|jwe PRIVATE_KEY FILE...: a JSON array, for each file its content in base64, or null.
// For many damaged files: one process, since starting one takes longer than opening a file.
import { openFile } from "./main.mjs";

const [form, keyFile, ...files] = process.argv.slice(2);
const { open } = await import(`./${form}.mjs`);

async function contentOf(file) {
  try {
    return Buffer.from(await openFile(open, file, keyFile)).toString("base64");
  } catch {
    return null;
  }
}

console.log(JSON.stringify(await Promise.all(files.map(contentOf))));
