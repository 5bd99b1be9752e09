// What every act in the browser stands on: facts, a server for the pages, tabs and their pictures.

import { createServer } from "node:http";
import { mkdir, readFile } from "node:fs/promises";
import { extname, join, normalize, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import puppeteer from "puppeteer-core";

/** How long a fact may take to come true, in milliseconds. */
export const patience = 30_000;

/** Counts facts: one line per fact. */
export class Facts {
    passed = 0;
    failed = 0;

    check(fact, holds, seen) {
        if (holds) {
            this.passed += 1;
            console.log(`ok      [browser] ${fact}`);
        } else {
            this.failed += 1;
            console.log(`FAILED  [browser] ${fact}\n        seen: ${show(seen)}`);
        }
        return Boolean(holds);
    }

    /** One act: a crash in it is one failed fact with a picture of each tab, and the next act still runs. */
    async act(name, body, tabs = []) {
        try {
            await body();
        } catch (error) {
            this.check(`${name} runs to its end`, false, error);
            for (const tab of tabs) {
                console.log(`        ${tab.name} at ${tab.page.url()}: ${tab.errors.slice(-5).join(" | ")}`);
                await tab.picture(`failed-${name.replace(/\W+/g, "-")}`).catch(() => {});
            }
        }
    }

    sum() {
        return `${this.passed} passed, ${this.failed} failed`;
    }
}

function show(seen) {
    if (seen instanceof Error) return seen.stack;
    if (typeof seen === "string") return seen.slice(0, 1500);
    return JSON.stringify(seen)?.slice(0, 1500);
}

/** Waits until `test()` answers with something; answers with that, or with nothing when time is up. */
export async function until(test, within = patience) {
    const end = Date.now() + within;
    for (;;) {
        const seen = await test();
        if (seen || Date.now() > end) return seen;
        await sleep(50);
    }
}

const types = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
    ".json": "application/json", ".wasm": "application/wasm", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".woff": "font/woff",
};

/**
 * Serves the pages from an origin of their own, so that nothing they ask of the homeserver is same-origin.
 * The pages demand `require-corp`: what the homeserver serves without CORS must allow being embedded.
 */
export async function servePages(folder) {
    const server = createServer(async (request, response) => {
        const { pathname } = new URL(request.url, "http://pages");
        const wanted = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
        const file = normalize(join(folder, decodeURIComponent(wanted)));
        try {
            if (!file.startsWith(folder + sep)) throw new Error("outside the pages");
            const bytes = await readFile(file);
            response.writeHead(200, {
                "Content-Type": types[extname(file)] ?? "application/octet-stream",
                "Cache-Control": "no-store",
                "Cross-Origin-Embedder-Policy": "require-corp",
                "Cross-Origin-Opener-Policy": "same-origin",
            });
            response.end(bytes);
        } catch {
            response.writeHead(404).end();
        }
    });
    await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
    return { origin: `http://localhost:${server.address().port}`, close: () => server.close() };
}

export function launch(folder) {
    return puppeteer.launch({
        executablePath: process.env.VESTIBULE_CHROMIUM ?? "/usr/bin/chromium",
        headless: true,
        userDataDir: folder,
        defaultViewport: { width: 1100, height: 760 },
        // The pages are our own, and containers often lack what the sandbox is made of.
        args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking", "--mute-audio"],
    });
}

/** One tab in a profile of its own, as another person's browser would be. */
export class Tab {
    static async open(browser, name, pictures) {
        const tab = new Tab();
        tab.name = name;
        tab.pictures = pictures;
        tab.context = await browser.createBrowserContext();
        tab.page = await tab.context.newPage();
        tab.errors = [];
        tab.page.on("console", (message) => {
            if (message.type() === "error") tab.errors.push(`${message.text()} ${message.location().url ?? ""}`);
        });
        tab.page.on("pageerror", (error) => tab.errors.push(`uncaught: ${error.stack ?? error}`));
        tab.page.setDefaultTimeout(patience);
        return tab;
    }

    /** The console errors that are none of the expected ones. */
    surprises(expected) {
        return this.errors.filter((line) => !expected.some((pattern) => pattern.test(line)));
    }

    async picture(name) {
        await mkdir(this.pictures, { recursive: true });
        await this.page.screenshot({ path: join(this.pictures, `${name}-${this.name}.png`) });
    }

    /** Waits for an element and clicks it, as somebody with a mouse would. */
    async click(selector) {
        await (await this.page.waitForSelector(selector, { visible: true })).click();
    }

    /** Clicks the first of the elements that bears the text; lists that are redrawn meanwhile are asked again. */
    async clickText(selector, text, fits = () => true) {
        const done = await until(async () => {
            for (const one of await this.page.$$(selector)) {
                const bears = await one.evaluate((found, wanted) => found.innerText.includes(wanted) && (found.href ?? "-"), text);
                if (bears && fits(bears)) return one.click().then(() => true, () => false);
            }
            return false;
        });
        if (!done) throw new Error(`${this.name} finds no ${selector} with "${text}"`);
    }

    async type(selector, text) {
        const field = await this.page.waitForSelector(selector, { visible: true });
        await field.click({ count: 3 });
        await field.type(text);
    }

    /** Whether the text comes to stand in the element. */
    reads(selector, text, within = patience) {
        return until(() => this.page.$$eval(selector, (found, wanted) => found.some((one) => one.innerText.includes(wanted)), text), within);
    }

    text(selector) {
        return this.page.$$eval(selector, (found) => found.map((one) => one.innerText));
    }

    /** The picture that comes to be shown: its address, and how large it is. */
    shown(selector) {
        return until(() => this.page.$$eval(selector, (found) => {
            const one = found.filter((image) => image.complete && image.naturalWidth > 0).at(-1);
            return one && { width: one.naturalWidth, height: one.naturalHeight, from: one.currentSrc };
        }));
    }

    async leave() {
        await this.context.close();
    }
}

/** A picture painted by the page: stripes, so that a thumbnail of it is no plain square. */
export function paint(page, width, height) {
    return page.evaluate((w, h) => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [w, h];
        const brush = canvas.getContext("2d");
        for (let x = 0; x < w; x += 40) {
            brush.fillStyle = `hsl(${(x * 360) / w} 80% 55%)`;
            brush.fillRect(x, 0, 40, h);
        }
        brush.fillStyle = "white";
        brush.fillRect(w / 4, h / 3, w / 2, h / 3);
        return canvas.toDataURL("image/png").split(",")[1];
    }, width, height);
}
