// Builds the pages into one folder: each page's module in one file, and what it loads beside it.

import { cp, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");

async function page(name, into, more = {}) {
    await mkdir(join(into, name), { recursive: true });
    await cp(join(here, "pages", name, "index.html"), join(into, name, "index.html"));
    await build({
        entryPoints: [join(here, "pages", name, "main.mjs")],
        outfile: join(into, name, "main.js"),
        bundle: true, format: "esm", target: "chrome120", platform: "browser", logLevel: "error",
        nodePaths: [modules],
        define: { global: "globalThis" },
        ...more,
    });
}

export async function bundle(into) {
    // libolm asks for these where it runs in Node, which it finds out before it does.
    await page("hydrogen", into, { external: ["crypto", "fs", "path"] });
    const hydrogen = join(modules, "hydrogen-view-sdk");
    await cp(join(hydrogen, "asset-build", "assets"), join(into, "hydrogen", "assets"), { recursive: true, dereference: true });
    await cp(join(hydrogen, "lib-build", "sw.js"), join(into, "hydrogen", "sw.js"));
    for (const file of ["olm.js", "olm.wasm", "olm_legacy.js"]) {
        await cp(join(modules, "@matrix-org", "olm", file), join(into, "hydrogen", file));
    }
    await page("door", into);
    const wasm = "matrix_sdk_crypto_wasm_bg.wasm";
    await mkdir(join(into, "door", "pkg"));
    await cp(join(modules, "@matrix-org", "matrix-sdk-crypto-wasm", "pkg", wasm), join(into, "door", "pkg", wasm));
}
