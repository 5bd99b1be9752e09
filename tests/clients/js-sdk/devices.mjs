// Devices that are invited late, sync otherwise, are away, or are nothing but keys on the server.

import { SlidingSync } from "matrix-js-sdk/lib/sliding-sync.js";

import { Facts, outcome, restart, sdk, stage, until } from "./common.mjs";
import { arrive, crypto, megolm } from "./device.mjs";

const facts = new Facts("js-devices");
const check = facts.check;
const cast = [];
const device = (name, label, how) => arrive(facts, cast, name, label, how);

let alice, bob, carol, slider, cellar;
const said = {};

const reads = async (one, id, body) => check(`${one.who} reads '${body}'`, await one.reads(cellar, id, body), one.seen(cellar, id));

async function meet() {
    alice = await device("alice", "desk");
    bob = await device("bob", "desk");
    carol = await device("carol", "desk");
    for (const one of [alice, bob, carol]) {
        const ready = await outcome(one.setUpCrossSigning().then(() => one.setUpSecretStorage()));
        check(`${one.name} sets up what others may trust`, !ready.error && (await one.crypto.isCrossSigningReady()), ready.error);
    }
    cellar = (await alice.client.createRoom({
        preset: "private_chat", name: "Cellar", initial_state: [megolm], invite: [bob.id],
    })).room_id;
    await until(() => bob.room(cellar));
    await bob.client.joinRoom(cellar);
    await until(() => alice.room(cellar).getMember(bob.id)?.membership === "join");
    for (const body of ["long ago", "a while ago"]) {
        said[body] = await alice.say(cellar, body);
        await reads(bob, said[body], body);
    }
}

/** Who is invited is handed the keys of what was said before, as a file and a message with its key. */
async function invited() {
    await until(async () => (await alice.crypto.getUserDeviceInfo([carol.id], true)).get(carol.id)?.size > 0);
    const answer = await outcome(alice.client.invite(cellar, carol.id));
    check("a third person is invited", !answer.error, answer.error);
    await until(() => carol.room(cellar)?.getMyMembership() === "invite");
    await carol.client.joinRoom(cellar, { acceptSharedHistory: true });
    await until(() => carol.event(cellar, said["long ago"]));
    await reads(carol, said["long ago"], "long ago");
    await reads(carol, said["a while ago"], "a while ago");
    said.now = await carol.say(cellar, "thank you");
    await reads(alice, said.now, "thank you");
    await reads(bob, said.now, "thank you");
}

/** The same over sliding sync: rooms in a list, keys in its extensions. */
async function sliding() {
    const everything = new Map([["all", {
        ranges: [[0, 20]], timeline_limit: 20,
        required_state: [["*", "*"]],
    }]]);
    slider = await device("bob", "slider", (client) => ({
        slidingSync: new SlidingSync(stage.url, everything, { timeline_limit: 20, required_state: [["*", "*"]] }, client, 2_000),
    }));
    check("the room is in the list", await until(() => slider.room(cellar)?.getMyMembership() === "join"));
    check("with its newest events", await until(() => slider.event(cellar, said.now)), slider.events(cellar).length);
    const known = await until(async () => (await alice.crypto.getUserDeviceInfo([bob.id], true)).get(bob.id)?.has(slider.device));
    check("the device that syncs so is known to the others", known);
    const ready = await outcome(slider.recover(bob.recoveryKey));
    check("it recovers the keys of its owner", ready.value, ready.error);
    said.slide = await alice.say(cellar, "to the slider");
    await reads(slider, said.slide, "to the slider");
    said.slid = await slider.say(cellar, "from the slider");
    for (const one of [alice, bob, carol]) await reads(one, said.slid, "from the slider");
    await carol.client.sendTyping(cellar, true, 10_000);
    check("it sees somebody type", await until(() => slider.room(cellar).getMember(carol.id)?.typing));
    await alice.client.sendReadReceipt(alice.event(cellar, said.slid));
    check("and a receipt", await until(() => slider.room(cellar).hasUserReadEvent(alice.id, said.slid)));
    const read = await outcome(slider.crypto.loadSessionBackupPrivateKeyFromSecretStorage()
        .then(() => slider.crypto.checkKeyBackupAndEnable()));
    check("it takes part in the backup", read.value?.trustInfo.trusted, read);
}

/** While a device is away its one-time keys are used up; the last resort is one that is given again and again. */
async function lastResort() {
    bob.goAway();
    const claim = async () => {
        const answer = await alice.client.claimOneTimeKeys([[bob.id, bob.device]]);
        return Object.entries(answer.one_time_keys?.[bob.id]?.[bob.device] ?? {})[0];
    };
    const given = new Set();
    let last;
    for (let n = 0; n < 120; n++) {
        last = await claim();
        if (!last || last[1].fallback) break;
        given.add(last[0]);
    }
    check("every one-time key is another", given.size >= 40, given.size);
    check("then comes the key of last resort, called so", last?.[1].fallback === true, last);
    const again = await claim();
    check("again and again", again?.[0] === last?.[0] && again?.[1].key === last?.[1].key, again);
    const pocket = await device("alice", "pocket");
    await pocket.recover(alice.recoveryKey);
    await until(() => pocket.room(cellar));
    said.away = await pocket.say(cellar, "while you were away");
    await reads(carol, said.away, "while you were away");
    bob.comeBack();
    await reads(bob, said.away, "while you were away");
    const replaced = await until(async () => {
        const key = await claim();
        return key && !key[1].fallback;
    });
    check("once back, it makes up for its one-time keys", replaced);
    const out = await outcome(pocket.client.logout(true));
    check("a device logs out", !out.error, out.error);
}

async function restarted() {
    await restart();
    const all = [alice, bob, carol, slider];
    for (const one of all) one.client.retryImmediately();
    said.restart = await carol.say(cellar, "after the restart");
    for (const one of [alice, bob, slider]) await reads(one, said.restart, "after the restart");
    for (const one of all) {
        check(`${one.who} syncs on`, await until(() => one.client.getSyncState() === "SYNCING"), one.client.getSyncState());
    }
}

/** Somebody without a device at all: what is sent meanwhile goes to one that lies on the server, locked. */
async function dehydrated() {
    check("the server keeps dehydrated devices", await bob.crypto.isDehydrationSupported());
    const uploaded = new Promise((resolve) => bob.client.once(crypto.CryptoEvent.DehydratedDeviceUploaded, resolve));
    const started = await outcome(bob.crypto.startDehydration());
    check("a device leaves a dehydrated one behind", !started.error, started.error);
    await Promise.race([uploaded, until(() => false, 5_000)]);
    const devices = async () => [...((await alice.crypto.getUserDeviceInfo([bob.id], true)).get(bob.id)?.values() ?? [])];
    const asleep = async () => (await devices()).find((one) => one.dehydrated);
    check("the others know it for what it is", await until(asleep), await devices());
    const signed = await alice.crypto.getDeviceVerificationStatus(bob.id, (await asleep())?.deviceId ?? "");
    check("and that its owner signed it", signed?.signedByOwner, signed);
    const { recoveryKey } = bob;
    for (const one of [slider, bob]) await one.client.logout(true);
    const left = await until(async () => (await devices()).length === 1);
    check("all the others log out", left, (await devices()).map((one) => [one.deviceId, one.dehydrated]));
    await alice.crypto.forceDiscardSession(cellar);
    said.asleep = await alice.say(cellar, "while nobody was there");
    await reads(carol, said.asleep, "while nobody was there");
    const phone = await device("bob", "phone");
    await until(() => phone.event(cellar, said.asleep));
    await until(() => phone.event(cellar, said.asleep).isDecryptionFailure());
    check("a new device cannot read it by itself", phone.event(cellar, said.asleep).isDecryptionFailure(), phone.seen(cellar, said.asleep));
    await phone.recover(recoveryKey);
    const over = new Promise((resolve) => phone.client.once(crypto.CryptoEvent.RehydrationCompleted, () => resolve(true)));
    const begun = (await asleep())?.deviceId;
    const woken = await outcome(phone.crypto.startDehydration());
    check("it wakes the dehydrated one", !woken.error && (await Promise.race([over, until(() => false, 5_000)])), woken.error);
    await reads(phone, said.asleep, "while nobody was there");
    const next = await until(async () => (await asleep()) && (await asleep()).deviceId !== begun);
    check("and leaves the next behind", next, (await devices()).map((one) => [one.deviceId, one.dehydrated]));
    bob = phone;
}

async function goodbye() {
    for (const one of [alice, carol, bob]) {
        check(`the sync of ${one.who} still runs`, one.client.getSyncState() === "SYNCING", one.client.getSyncState());
    }
    const answer = await outcome(sdk.createClient({ baseUrl: stage.url }).getVersions());
    check("the server is there to the end", !answer.error, answer.error);
}

await facts.play([meet, invited, sliding, lastResort, restarted, dehydrated, goodbye], cast, () => cellar);
