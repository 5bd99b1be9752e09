// Web clients in a headless Chromium, against the real server from another origin.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { bundle } from "./bundle.mjs";
import { door } from "./door.mjs";
import { hydrogen } from "./hydrogen.mjs";
import { Facts, launch, servePages } from "./house.mjs";

const stage = JSON.parse(await readFile(process.argv[2], "utf8"));
const pictures = process.env.VESTIBULE_SCREENSHOTS;
const facts = new Facts();
const folder = await mkdtemp(join(tmpdir(), "vestibule-browser-"));
const watchdog = globalThis.setTimeout(() => {
    facts.check("the scenario ends within its time", false, "still running");
    console.log(facts.sum());
    process.exit(1);
}, 480_000);

let browser;
let pages;
try {
    await bundle(join(folder, "pages"));
    pages = await servePages(join(folder, "pages"));
    browser = await launch(join(folder, "profile"));
    facts.check("a browser starts", true);
    for (const play of [hydrogen, door]) {
        await facts.act(play.name, () => play({ facts, browser, stage, pages, pictures, folder }));
    }
} catch (error) {
    facts.check("the browser scenario is set up", false, error);
} finally {
    await browser?.close();
    pages?.close();
    await rm(folder, { recursive: true, force: true });
    clearTimeout(watchdog);
}
console.log(`screenshots: ${pictures}`);
console.log(facts.sum());
process.exit(facts.failed ? 1 : 0);
