// Hydrogen, a ready web client: two people, each in a browser of their own.
//
// Version 0.3.1 of its SDK knows authenticated media (a service worker puts the token on them), rooms of
// every kind but no guests, and encryption by libolm. Guests and the Rust library have a page of their own.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { Tab, paint, until } from "./house.mjs";

const message = ".Timeline_message";
const composer = ".MessageComposer_input textarea";
/** What a client asks for that need not be there, and Chromium tells of on its own. */
const expected = [
    /uncaught: IDBRequestAttemptError.*getKey\(true\) failed.*archivedRoomSummary/, // see createRoom
    /status of 404 .*\/(room_keys\/version|dehydrated_device|account_data\/[^ ]*|\.well-known\/matrix\/client\?.*)/,
];

export async function hydrogen({ facts, browser, stage, pages, pictures, folder }) {
    const check = facts.check.bind(facts);
    const alice = await Tab.open(browser, "alice", pictures);
    const bob = await Tab.open(browser, "bob", pictures);
    const at = `${pages.origin}/hydrogen/?homeserver=${encodeURIComponent(stage.url)}`;

    await facts.act("Hydrogen's login", async () => {
        await alice.page.goto(at);
        await fillIn(alice, stage, "alice", "not her password");
        check("a wrong password is answered with words", await alice.reads(".PasswordLoginView .error", "password"), await alice.text(".PreSessionScreen"));
        await logIn(alice, stage, "alice");
        await bob.page.goto(at);
        await logIn(bob, stage, "bob");
        for (const tab of [alice, bob]) check(`${tab.name} logs in through the form of a page of another origin`, await inside(tab), await tab.text("body"));
        await alice.picture("hydrogen-1-logged-in");
    }, [alice, bob]);
    const both = { check, alice, bob, stage, folder };
    await facts.act("Hydrogen's open room", () => talk(both), [alice, bob]);
    await facts.act("Hydrogen's encrypted room", () => whisper(both), [alice, bob]);
    await facts.act("Hydrogen's farewell", () => farewell(both), [alice, bob]);
    for (const tab of [alice, bob]) {
        const surprises = tab.surprises(expected.concat(tab === alice ? [/status of 403 .*\/login/] : []));
        check(`nothing on ${tab.name}'s console but expected refusals`, surprises.length === 0, surprises);
        await tab.leave();
    }
}

async function fillIn(tab, stage, who, password) {
    await tab.page.waitForSelector("#username", { visible: true });
    await tab.type("#username", who);
    await tab.type("#password", password);
    await tab.click(".PasswordLoginView button[type=submit]");
}

const logIn = (tab, stage, who) => fillIn(tab, stage, who, stage.passwords[who]);
const inside = (tab) => tab.page.waitForSelector(".LeftPanel", { visible: true });

/** Creates a room through the form and opens it. */
async function createRoom(tab, name, encrypted) {
    await tab.click(".LeftPanel button.create");
    await option(tab, "Create Room");
    await tab.type("#name", name);
    const ticked = await tab.page.$eval("#isEncrypted", (box) => box.checked);
    if (ticked !== encrypted) await tab.click("#isEncrypted");
    await tab.click(".CreateRoomView button[type=submit]");
    // This version takes a promise for the new room and goes to no room at all: the list has it.
    await openRoom(tab, name);
    await tab.page.waitForSelector(composer, { visible: true });
    await until(() => tab.page.url().includes("/room/!"));
}

const option = (tab, label) => tab.clickText(".popupContainer button", label);

async function invite(tab, user) {
    await tab.page.evaluate(() => { location.hash = `${location.hash.replace(/\/(details|invite|members).*$/, "")}/invite`; });
    await tab.type(".InvitePanelView__input", user);
    await tab.click(".InvitePanelView__btn");
}

async function accept(tab, name) {
    await openRoom(tab, name);
    await tab.click(".InviteView_buttonRow .button-action.primary:not(.destructive)");
    await tab.page.waitForSelector(composer, { visible: true });
}

/** Opens a room of the list, once it is more than a wish of this page. */
const openRoom = (tab, name) => tab.clickText(".RoomList li a", name, (href) => !href.includes("local-"));

async function say(tab, text) {
    await tab.type(composer, text);
    await tab.page.keyboard.press("Enter");
}

async function talk({ check, alice, bob, stage, folder }) {
    await createRoom(alice, "Drawing room", false);
    check("a room is created through the page", await alice.reads(".RoomHeader h2", "Drawing room"), await alice.text(".RoomHeader"));
    await invite(alice, `@bob:${stage.server_name}`);
    await accept(bob, "Drawing room");
    check("an invitation arrives live and is accepted", await bob.reads(".RoomHeader h2", "Drawing room"), await bob.text(".RoomHeader"));
    await say(alice, "good evening");
    check("a message arrives live", await bob.reads(message, "good evening"), await bob.text(message));
    await say(bob, "and to you");
    check("and the answer comes back", await alice.reads(message, "and to you"), await alice.text(message));

    const file = join(folder, "stripes.png");
    await writeFile(file, Buffer.from(await paint(alice.page, 1600, 900), "base64"));
    await alice.click(".MessageComposer button.sendFile");
    const [chooser] = await Promise.all([alice.page.waitForFileChooser(), option(alice, "Send picture")]);
    await chooser.accept([file]);
    const seen = await bob.shown(".Timeline_messageBody .media img");
    check("an uploaded picture shows as a thumbnail to the other", seen?.width > 0, seen ?? bob.errors);
    check("it came through authenticated media", /\/_matrix\/client\/v1\/media\/thumbnail\//.test(seen?.from ?? ""), seen);
    const bare = await bob.page.evaluate((from) => fetch(from).then((answer) => answer.status, String), seen?.from);
    check("the service worker lends the page its token", bare === 200, bare);
    await bob.picture("hydrogen-2-thumbnail");
    await alice.picture("hydrogen-2-sent");
    await bob.click(".Timeline_messageBody .media a");
    const large = await until(() => bob.page.$eval(".lightbox .picture:not(.hidden)", (one) => one.style.backgroundImage).catch(() => undefined));
    check("the whole picture opens", /client\/v1\/media\/download/.test(large ?? "") || /blob:/.test(large ?? ""), large);
    await bob.picture("hydrogen-3-lightbox");
    await bob.click(".lightbox a.close");
}

async function whisper({ check, alice, bob, stage }) {
    await createRoom(alice, "Closet", true);
    await invite(alice, `@bob:${stage.server_name}`);
    await accept(bob, "Closet");
    await say(alice, "between us");
    check("an encrypted message is read by the other", await bob.reads(message, "between us"), await bob.text(message));
    await say(bob, "not a word");
    check("and so is the answer", await alice.reads(message, "not a word"), await alice.text(message));
    await bob.page.reload();
    await inside(bob);
    check("after a reload the message is still read", await bob.reads(message, "between us"), await bob.text(message));
    await say(alice, "are you back");
    check("and the page goes on where it stopped", await bob.reads(message, "are you back"), await bob.text(message));
    await bob.picture("hydrogen-4-encrypted");
}

async function farewell({ check, alice, bob }) {
    await bob.click(".LeftPanel a.settings");
    await bob.clickText(".Settings button", "Log out");
    await bob.click(".LogoutScreen button.destructive");
    check("logout ends where one signs in", await bob.page.waitForSelector(".SessionPickerView", { visible: true }), bob.page.url());
    const left = await until(() => bob.page.$$eval(".SessionPickerView li", (found) => found.length === 0));
    check("and no session is left in the browser", left, await bob.text("body"));
    check("the other is still logged in", await inside(alice), await alice.text("body"));
}
