// A page on matrix-js-sdk: guests who follow a link, where the door is open and where it is not, and rooms
// that are encrypted by the Rust library, whose keys outlive a reload in IndexedDB.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { Tab, paint, until } from "./house.mjs";

const line = "#lines .line";
/** What a client asks for that need not be there, and what it gives up by itself. */
const usual = [
    /status of 404 .*\/(room_keys\/version|account_data\/[^ ]*|voip\/turnServer|rtc\/transports)/,
    /status of 401 .*\/account\/whoami/, // asked on purpose, after logging out
];
/** What a guest is refused and a client asks for all the same. */
const refusals = [/status of 403 .*\/(join\/[^/]*|upload|voip\/turnServer|initialSync\?.*)/];

export async function door({ facts, browser, stage, pages, pictures, folder }) {
    const check = facts.check.bind(facts);
    const mona = await Tab.open(browser, "mona", pictures);
    const bob = await Tab.open(browser, "bob", pictures);
    const guest = await Tab.open(browser, "guest", pictures);
    const at = (link = "") => `${pages.origin}/door/?homeserver=${encodeURIComponent(stage.url)}#/room/${encodeURIComponent(link)}`;
    const tabs = [mona, bob, guest];
    const all = { check, mona, bob, guest, stage, folder, at };

    await facts.act("the opened door", () => opened(all), tabs);
    await facts.act("the closed door", () => closed(all), tabs);
    await facts.act("the encrypted room", () => safe(all), tabs);
    await facts.act("the page's farewell", () => farewell(all), tabs);
    for (const tab of tabs) {
        const surprises = tab.surprises(tab === guest ? [...usual, ...refusals] : usual);
        check(`nothing on ${tab.name}'s console but expected refusals`, surprises.length === 0, surprises);
        await tab.leave();
    }
}

/** One request of the stage, beside the browser. */
async function ask(stage, token, method, path, body) {
    const answer = await fetch(`${stage.url}/_matrix/client/v3/${path}`, {
        method,
        headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
        body: body && JSON.stringify(body),
    });
    const read = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(read)}`);
    return read;
}

/** A public room that mona made. */
async function room(stage, name, more) {
    const identifier = { type: "m.id.user", user: "mona" };
    const { access_token: token } = await ask(stage, undefined, "POST", "login", { type: "m.login.password", identifier, password: stage.passwords.mona });
    const state = (type, content) => ({ type, state_key: "", content });
    const { room_id: id } = await ask(stage, token, "POST", "createRoom", {
        name, preset: "public_chat", ...more,
        initial_state: [
            state("m.room.guest_access", { guest_access: "can_join" }),
            state("m.room.history_visibility", { history_visibility: "world_readable" }),
        ],
    });
    await ask(stage, token, "PUT", `rooms/${encodeURIComponent(id)}/send/m.room.message/hello`, { msgtype: "m.text", body: "Welcome, stranger" });
    return id;
}

async function visit(tab, url) {
    await tab.page.goto("about:blank");
    await tab.page.goto(url);
    await tab.page.waitForSelector("body[data-ready]");
}

async function logIn(tab, url, who, password) {
    await visit(tab, url);
    await tab.type("#user", who);
    await tab.type("#password", password);
    await tab.click("#enter");
    await tab.page.waitForSelector("main:not([hidden])");
}

async function say(tab, text) {
    await tab.type("#text", text);
    await tab.page.keyboard.press("Enter");
}

async function send(tab, file) {
    const chooser = await tab.page.waitForSelector("#picture");
    await chooser.uploadFile(file);
}

async function opened({ check, mona, bob, guest, stage, folder, at }) {
    const alias = `#parlour:${stage.server_name}`;
    await room(stage, "Parlour", { room_alias_name: "parlour" });
    await logIn(mona, at(alias), "mona", stage.passwords.mona);
    check("a moderator logs in through the page", await mona.reads("#room", "Parlour"), await mona.text("body"));

    await visit(guest, at(alias));
    await guest.click("#guest");
    check("a guest who follows a link sees the welcome before joining", await guest.reads(line, "Welcome, stranger"), await guest.text("body"));
    await guest.picture("door-1-looking-in");
    await guest.click("#join");
    const joined = await until(() => guest.page.$eval("#join", (button) => button.hidden));
    check("and joins where the door is open", joined, await guest.text("#error"));
    await say(guest, "knock knock");
    check("the moderator reads the guest live", await mona.reads(line, "knock knock"), await mona.text(line));
    check("and sees the mark of a guest", await mona.reads(`${line} b`, "(guest)"), await mona.text(line));
    await mona.type("#text", "com");
    check("the guest sees that somebody is typing", await guest.reads("#typing", "typing"), await guest.text("#typing"));
    await say(mona, "come in");
    check("and reads the answer live", await guest.reads(line, "come in"), await guest.text(line));

    const file = join(folder, "carpet.png");
    await writeFile(file, Buffer.from(await paint(mona.page, 1200, 900), "base64"));
    await send(mona, file);
    const seen = await guest.shown(`${line} img`);
    check("the guest sees the thumbnail of a picture", seen?.width === 320 && seen.height === 240, seen ?? await guest.text(line));
    await guest.picture("door-2-inside");
    await send(guest, file);
    check("a picture of the guest's own is refused with words", await guest.reads("#error", "M_GUEST_ACCESS_FORBIDDEN"), await guest.text("#error"));

    await logIn(bob, at(), "bob", stage.passwords.bob);
    await guest.page.reload();
    await guest.page.waitForSelector("body[data-ready]");
    check("after a reload the guest is still inside", await guest.reads(line, "come in"), await guest.text("body"));
    await say(mona, "still here?");
    check("and hears what is said next", await guest.reads(line, "still here?"), await guest.text(line));
}

async function closed({ check, guest, stage, at }) {
    const id = await room(stage, "Study");
    await visit(guest, at(id));
    check("a guest sees nothing of a room without a door, whoever else may read it",
        await guest.reads("#error", "M_GUEST_ACCESS_FORBIDDEN") && !(await guest.text("main")).join("").includes("Welcome"), await guest.text("body"));
    await guest.click("#join");
    const refused = await guest.reads("#error", "M_GUEST_ACCESS_FORBIDDEN");
    check("a guest is refused where no door was opened, and told so", refused, await guest.text("#error"));
    const words = (await guest.text("#error")).join("");
    check("the refusal is a sentence for people", words.length > 40, words);
    check("and stays outside", await guest.page.$eval("#join", (button) => !button.hidden), await guest.text("#rooms"));
    await guest.picture("door-3-refused");
}

async function safe({ check, mona, bob, stage }) {
    await mona.click("#closet");
    check("an encrypted room is created", await mona.reads("#room", "Safe"), await mona.text("body"));
    const id = decodeURIComponent(new URL(mona.page.url()).hash.replace("#/room/", ""));
    const { access_token: token } = JSON.parse(await mona.page.evaluate(() => localStorage.getItem("door-session")));
    await ask(stage, token, "POST", `rooms/${encodeURIComponent(id)}/invite`, { user_id: `@bob:${stage.server_name}` });
    check("the invitation arrives live", await bob.reads("#rooms", "Safe (invite)"), await bob.text("#rooms"));
    await bob.clickText("#rooms a", "Safe");
    await bob.click("#join");
    await bob.reads("#rooms", "Safe (join)");
    check("and is accepted", await bob.page.$eval("#join", (button) => button.hidden), await bob.text("#rooms"));
    await say(mona, "the combination is 1234");
    check("a message is decrypted in the other browser", await bob.reads(line, "the combination is 1234"), await bob.text(line));
    await say(bob, "noted");
    check("and so is the answer", await mona.reads(line, "noted"), await mona.text(line));
    const veiled = await bob.page.$$eval(line, (found) => found.every((one) => one.dataset.encrypted === "true"));
    check("they went encrypted", veiled, await bob.text(line));
    await bob.page.reload();
    await bob.page.waitForSelector("body[data-ready]");
    check("after a reload the keys are still there", await bob.reads(line, "the combination is 1234"), await bob.text("body"));
    await say(mona, "are you still there");
    check("and the next message is decrypted too", await bob.reads(line, "are you still there"), await bob.text(line));
    check("nothing was left undecrypted", (await bob.text(".undecrypted")).length === 0, await bob.text(".undecrypted"));
    await bob.picture("door-4-encrypted");
}

async function farewell({ check, bob, guest }) {
    for (const tab of [bob, guest]) {
        const session = JSON.parse(await tab.page.evaluate(() => localStorage.getItem("door-session")));
        await tab.click("#logout");
        check(`${tab.name} logs out`, await tab.page.waitForSelector("#login:not([hidden])", { visible: true }), await tab.text("body"));
        const status = await tab.page.evaluate(async (token) => {
            const base = new URLSearchParams(location.search).get("homeserver");
            const answer = await fetch(`${base}/_matrix/client/v3/account/whoami`, { headers: { Authorization: `Bearer ${token}` } });
            return answer.status;
        }, session.access_token);
        check(`and ${tab.name}'s token is worth nothing any more`, status === 401, status);
    }
}
