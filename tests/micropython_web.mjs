// Runs the self-test of a folder in MicroPython's WebAssembly port: node micropython_web.mjs PORT FOLDER.
// PORT is the folder that `make micropython-web` makes.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [port, folder] = process.argv.slice(2);
const module = `${port}/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs`;
const { loadMicroPython } = await import(pathToFileURL(module));
const micropython = await loadMicroPython({ heapsize: 1 << 21, stdout: (line) => console.log(line) });
for (const name of readdirSync(folder)) {
  if (statSync(`${folder}/${name}`).isFile()) {
    micropython.FS.writeFile(name, readFileSync(`${folder}/${name}`));
  }
}
micropython.runPython("import selftest");
