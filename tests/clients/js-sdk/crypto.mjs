// Encryption through matrix-js-sdk and its Rust crypto: people, their devices, and what makes them trust each other.

import { Facts, outcome, patience, stage, until } from "./common.mjs";
import { arrive, crypto, emojis, megolm } from "./device.mjs";

const facts = new Facts("js-crypto");
const check = facts.check;
const cast = [];
const device = (name, label) => arrive(facts, cast, name, label);

let alice, bob, cellar, direct, root;
const said = {};

async function meet() {
    alice = await device("alice", "desk");
    bob = await device("bob", "desk");
    for (const one of [alice, bob]) {
        const mine = await until(async () => (await one.crypto.getUserDeviceInfo([one.id], true)).get(one.id)?.has(one.device));
        check(`the device keys of ${one.who} are uploaded`, mine);
    }
}

/** The first keys of somebody, and the password where they replace others. */
async function crossSigning() {
    for (const one of [alice, bob]) {
        const asked = {};
        const made = await outcome(one.crypto.bootstrapCrossSigning({
            authUploadDeviceSigningKeys: one.password(stage.passwords[one.name], asked),
        }));
        check(`${one.name} sets up cross-signing`, !made.error && (await one.crypto.isCrossSigningReady()), made.error);
        const status = await until(async () =>
            (await one.crypto.getDeviceVerificationStatus(one.id, one.device))?.crossSigningVerified);
        check(`${one.who} is signed by its owner`, status);
    }
    const before = await alice.crypto.getCrossSigningKeyId();
    const wrong = await outcome(alice.crypto.bootstrapCrossSigning({
        setupNewCrossSigning: true, authUploadDeviceSigningKeys: alice.password("wrong"),
    }));
    check("refuses to replace the keys with a wrong password", [401, 403].includes(wrong.error?.httpStatus), wrong);
    const asked = {};
    const again = await outcome(alice.crypto.bootstrapCrossSigning({
        setupNewCrossSigning: true, authUploadDeviceSigningKeys: alice.password(stage.passwords.alice, asked),
    }));
    check("asks for the password before keys are replaced", asked.flows?.length > 0, asked);
    check("and replaces them with the right one", !again.error && (await alice.crypto.getCrossSigningKeyId()) !== before, again.error);
}

async function secretStorage() {
    for (const one of [alice, bob]) {
        const made = await outcome(one.setUpSecretStorage(one === bob ? "a long phrase" : undefined));
        check(`${one.name} sets up secret storage`, !made.error && (await one.crypto.isSecretStorageReady()), made.error);
        const status = await one.crypto.getCrossSigningStatus();
        check(`${one.name}'s cross-signing keys lie in it`, status.privateKeysInSecretStorage, status);
        const version = await one.crypto.getActiveSessionBackupVersion();
        const info = await one.crypto.getKeyBackupInfo();
        check(`${one.name}'s keys are backed up`, version && info?.version === version, [version, info]);
        const trust = await one.crypto.isKeyBackupTrusted(info);
        check(`${one.name}'s backup is signed by its owner`, trust.trusted && trust.matchesDecryptionKey, trust);
    }
}

async function messages() {
    cellar = (await alice.client.createRoom({
        preset: "private_chat", name: "Cellar", initial_state: [megolm], invite: [bob.id],
    })).room_id;
    check("the invitation arrives", await until(() => bob.room(cellar)?.getMyMembership() === "invite"));
    await bob.client.joinRoom(cellar);
    await until(() => bob.room(cellar)?.getMyMembership() === "join");
    check("both know that the room is encrypted", await until(async () =>
        (await alice.crypto.isEncryptionEnabledInRoom(cellar)) && (await bob.crypto.isEncryptionEnabledInRoom(cellar))));
    await until(() => alice.room(cellar).getMember(bob.id)?.membership === "join");
    said.hello = await alice.say(cellar, "hello in the dark");
    check("a message is read on the other side", await bob.reads(cellar, said.hello, "hello in the dark"), bob.seen(cellar, said.hello));
    said.back = await bob.say(cellar, "and back");
    check("and the answer", await alice.reads(cellar, said.back, "and back"), alice.seen(cellar, said.back));
    const raw = await alice.client.fetchRoomEvent(cellar, said.hello);
    check("the server has no word of it", raw.type === "m.room.encrypted" && !JSON.stringify(raw).includes("hello"), raw);
    const info = await bob.crypto.getEncryptionInfoForEvent(bob.event(cellar, said.hello));
    check("its sender's device is known and signed", info?.shieldReason === null, info);
}

/** What points to other events points in the open, and says nothing. */
async function relations() {
    const edit = {
        "msgtype": "m.text", "body": "* hello again", "m.new_content": { msgtype: "m.text", body: "hello again" },
        "m.relates_to": { rel_type: "m.replace", event_id: said.hello },
    };
    said.edit = await alice.say(cellar, edit);
    check("an edit replaces what was said", await bob.reads(cellar, said.hello, "hello again"), bob.seen(cellar, said.hello));
    const reaction = await bob.client.sendEvent(cellar, "m.reaction", {
        "m.relates_to": { rel_type: "m.annotation", event_id: said.hello, key: "👍" },
    });
    const reacted = await until(() => alice.room(cellar).relations
        .getChildEventsForEvent(said.hello, "m.annotation", "m.reaction")?.getSortedAnnotationsByKey()
        ?.some(([key, events]) => key === "👍" && events.size === 1));
    check("a reaction arrives", reacted);
    await bob.client.redactEvent(cellar, reaction.event_id);
    const gone = await until(() => !alice.room(cellar).relations
        .getChildEventsForEvent(said.hello, "m.annotation", "m.reaction")?.getRelations().length);
    check("and goes when it is taken back", gone);
    root = said.root = await alice.say(cellar, "the root of a thread");
    await bob.reads(cellar, root, "the root of a thread");
    for (const body of ["first in the thread", "second in the thread"]) {
        said[body] = await bob.say(cellar, {
            "msgtype": "m.text", body, "m.relates_to": { rel_type: "m.thread", event_id: root, is_falling_back: true, "m.in_reply_to": { event_id: root } },
        });
        check(`'${body}' is read`, await alice.reads(cellar, said[body], body), alice.seen(cellar, said[body]));
    }
    const thread = () => alice.room(cellar).getThread(root);
    check("the thread has both", await until(() => thread()?.length === 2), thread()?.length);
    const raw = await alice.client.fetchRoomEvent(cellar, root);
    check("the server counts them", raw.unsigned?.["m.relations"]?.["m.thread"]?.count === 2, raw.unsigned);
}

/** The server counts what it cannot read; the client knows the rest. */
async function unread() {
    const room = () => alice.room(cellar);
    const latest = alice.events(cellar).filter((event) => !event.threadRootId || event.isThreadRoot).at(-1);
    await alice.client.sendReadReceipt(latest);
    const thread = room().getThread(root);
    await alice.client.sendReadReceipt(thread.events.at(-1));
    const total = () => room().getUnreadNotificationCount("total");
    const inThread = () => room().getThreadUnreadNotificationCount(root, "total");
    check("what is read is not counted", await until(() => total() === 0 && inThread() === 0), [total(), inThread()]);
    await bob.say(cellar, "one");
    await bob.say(cellar, { "msgtype": "m.text", "body": "two, alice", "m.mentions": { user_ids: [alice.id] } });
    const last = await bob.say(cellar, "three");
    check("three encrypted messages count three", await until(() => room().getRoomUnreadNotificationCount("total") === 3),
        room().getRoomUnreadNotificationCount("total"));
    check("the one with the name in it is found by the client", await until(() => room().getRoomUnreadNotificationCount("highlight") === 1),
        room().getRoomUnreadNotificationCount("highlight"));
    await bob.say(cellar, {
        "msgtype": "m.text", "body": "third in the thread", "m.relates_to": { rel_type: "m.thread", event_id: root },
    });
    check("a thread counts for itself", await until(() => inThread() === 1 && room().getRoomUnreadNotificationCount("total") === 3),
        [inThread(), room().getRoomUnreadNotificationCount("total")]);
    await alice.reads(cellar, last, "three");
    await alice.client.sendReadReceipt(alice.event(cellar, last));
    check("reading the room leaves the thread", await until(() => room().getRoomUnreadNotificationCount("total") === 0 && inThread() === 1),
        [room().getRoomUnreadNotificationCount("total"), inThread()]);
    await alice.client.sendReadReceipt(thread.events.at(-1));
    check("reading the thread ends it", await until(() => inThread() === 0), inThread());
    check("the other side sees how far it was read", await until(() => bob.room(cellar).getEventReadUpTo(alice.id) !== null));
}

/** Pictures compared on both sides, from the request to the end. */
async function compare(one, two, request, what) {
    const phase = (wanted, found) => until(() => found()?.phase === wanted);
    const arrived = await until(() => two.requests.length > 0);
    if (!check(`${what}: the request arrives`, arrived)) return;
    const theirs = two.requests.pop();
    await theirs.accept();
    check(`${what}: it is accepted`, await phase(crypto.VerificationPhase.Ready, () => request), request.phase);
    const mine = await request.startVerification(emojis);
    check(`${what}: it starts on the other side`, await until(() => theirs.verifier));
    const shown = [];
    const ends = [mine, theirs.verifier].map((verifier, at) => {
        verifier.on(crypto.VerifierEvent.ShowSas, (sas) => (shown[at] = sas));
        if (verifier.getShowSasCallbacks()) shown[at] = verifier.getShowSasCallbacks();
        return outcome(verifier.verify());
    });
    await until(() => shown[0] && shown[1]);
    const pictures = shown.map((sas) => sas?.sas.emoji?.map(([picture]) => picture).join(" "));
    check(`${what}: both sides show the same pictures`, pictures[0] && pictures[0] === pictures[1], pictures);
    for (const sas of shown) await sas?.confirm();
    const over = await Promise.all(ends);
    check(`${what}: both sides come to the end`, !over[0].error && !over[1].error, over.find((end) => end.error));
    check(`${what}: and call it done`, await until(() =>
        request.phase === crypto.VerificationPhase.Done && theirs.phase === crypto.VerificationPhase.Done), [request.phase, theirs.phase]);
}

/** Each device brings its keys to the backup in its own time. */
async function backup() {
    await Promise.all([alice, bob].map(async (one) => {
        const info = () => one.client.http.authedRequest("GET", "/room_keys/version");
        const wanted = async () => (await one.crypto.exportRoomKeys()).length;
        const all = await until(async () => (await info()).count >= (await wanted()), 2 * patience);
        check(`every key of ${one.who} is in the backup`, all && (await wanted()) > 0, [await info(), await wanted()]);
    }));
}

let pocket, tablet;

/** Alice's second device: verified by the first, fed by it with secrets, and through them with history. */
async function ownDevice() {
    pocket = await device("alice", "pocket");
    await until(() => pocket.room(cellar));
    await until(async () => pocket.crypto.userHasCrossSigningKeys(alice.id, true));
    const request = await pocket.crypto.requestOwnUserVerification();
    await compare(pocket, alice, request, "between one's own devices");
    const status = await until(async () => {
        const { masterKey, selfSigningKey, userSigningKey } = (await pocket.crypto.getCrossSigningStatus()).privateKeysCachedLocally;
        return masterKey && selfSigningKey && userSigningKey;
    });
    check("the new device is given the cross-signing keys", status, await pocket.crypto.getCrossSigningStatus());
    check("and the key of the backup", await until(() => pocket.crypto.getSessionBackupPrivateKey()));
    for (const one of [alice, bob]) {
        const signed = await until(async () =>
            (await one.crypto.getDeviceVerificationStatus(alice.id, pocket.device))?.signedByOwner);
        check(`${one.who} sees that its owner signed it`, signed);
    }
    await pocket.crypto.checkKeyBackupAndEnable();
    // A client asks again for what its user looks at, one session at a time.
    const old = pocket.event(cellar, said.root);
    if (old.isDecryptionFailure()) await old.attemptDecryption(pocket.client.cryptoBackend, { isRetry: true });
    check("what was said before is read from the backup", await pocket.reads(cellar, said.root, "the root of a thread"),
        pocket.seen(cellar, said.root));
    said.three = await bob.say(cellar, "to three devices");
    for (const one of [alice, pocket]) {
        check(`${one.who} reads what is said now`, await one.reads(cellar, said.three, "to three devices"), one.seen(cellar, said.three));
    }
    said.pocket = await pocket.say(cellar, "from the pocket");
    for (const one of [alice, bob]) {
        check(`${one.who} reads what it says`, await one.reads(cellar, said.pocket, "from the pocket"), one.seen(cellar, said.pocket));
    }
}

/** Bob's second device: nobody at hand to verify it, only the recovery key. */
async function recovery() {
    const wanted = (await bob.client.http.authedRequest("GET", "/room_keys/version")).count;
    tablet = await device("bob", "tablet");
    await until(() => tablet.event(cellar, said.hello));
    const blind = tablet.event(cellar, said.hello);
    await until(() => blind.isDecryptionFailure());
    check("a device without keys reads nothing of before", blind.isDecryptionFailure(), tablet.seen(cellar, said.hello));
    const signed = await outcome(tablet.recover(bob.recoveryKey));
    check("with the recovery key it takes the cross-signing keys out of secret storage", signed.value, signed.error);
    check("and signs itself", await until(async () =>
        (await tablet.crypto.getDeviceVerificationStatus(bob.id, tablet.device))?.crossSigningVerified));
    await tablet.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    const enabled = await tablet.crypto.checkKeyBackupAndEnable();
    check("the backup is trusted there", enabled?.trustInfo.trusted, enabled);
    const restored = await outcome(tablet.crypto.restoreKeyBackup());
    check("every key is restored", wanted > 0 && restored.value?.imported >= wanted && restored.value.imported === restored.value.total, restored.value ?? restored.error);
    check("the past is readable, edits applied", await tablet.reads(cellar, said.hello, "hello again"), tablet.seen(cellar, said.hello));
    const first = "first in the thread";
    await until(() => tablet.room(cellar).getThread(root)?.length >= 2);
    check("a thread too", await tablet.reads(cellar, said[first], first), tablet.seen(cellar, said[first]));
    await tablet.say(cellar, "recovered");
}

/** Between two people, in a room of their own. */
async function people() {
    direct = (await alice.client.createRoom({
        preset: "trusted_private_chat", is_direct: true, initial_state: [megolm], invite: [bob.id],
    })).room_id;
    await until(() => bob.room(direct));
    await bob.client.joinRoom(direct);
    await until(() => alice.room(direct)?.getMember(bob.id)?.membership === "join");
    const request = await alice.crypto.requestVerificationDM(bob.id, direct);
    await compare(alice, bob, request, "between two people");
    for (const [one, other] of [[alice, bob], [bob, alice]]) {
        const done = await until(async () => (await one.crypto.getUserVerificationStatus(other.id)).isCrossSigningVerified());
        check(`${one.who} trusts ${other.name}`, done);
    }
    for (const [one, other] of [[pocket, bob], [tablet, alice]]) {
        const done = await until(async () => (await one.crypto.getUserVerificationStatus(other.id)).isCrossSigningVerified());
        check(`${one.who} takes that over`, done);
    }
    tablet.requests.length = bob.requests.length = pocket.requests.length = alice.requests.length = 0;
}

async function toDevice() {
    const to = [{ userId: bob.id, deviceId: bob.device }, { userId: bob.id, deviceId: tablet.device }];
    const batch = await alice.crypto.encryptToDeviceMessages("org.vestibule.note", to, { text: "psst" });
    await alice.client.queueToDevice(batch);
    for (const one of [bob, tablet]) {
        const heard = () => one.toDevice.find(({ message }) => message.type === "org.vestibule.note");
        check(`an encrypted note reaches ${one.who}`, await until(() => heard()?.message.content.text === "psst"), heard());
        check(`${one.who} knows that it is from whom it says`, heard()?.encryptionInfo?.sender === alice.id, heard()?.encryptionInfo);
    }
}

/** The keys are replaced by their owner: nobody takes the new ones for the old. */
async function newKeys() {
    const made = await outcome(alice.crypto.bootstrapCrossSigning({
        setupNewCrossSigning: true, authUploadDeviceSigningKeys: alice.password(stage.passwords.alice),
    }));
    check("alice replaces her keys", !made.error, made.error);
    const lost = await until(async () => {
        const status = await bob.crypto.getUserVerificationStatus(alice.id);
        return !status.isCrossSigningVerified() && status.wasCrossSigningVerified();
    });
    check("bob is told that it is not the alice he verified", lost, await bob.crypto.getUserVerificationStatus(alice.id));
    await bob.crypto.withdrawVerificationRequirement(alice.id);
    said.after = await bob.say(cellar, "after the new keys");
    check("and may write to her anyway", await alice.reads(cellar, said.after, "after the new keys"), alice.seen(cellar, said.after));
}

async function deletion() {
    const refused = await outcome(bob.client.deleteDevice(tablet.device));
    check("deleting a device asks for the password", refused.error?.httpStatus === 401 && refused.error.data.session, refused);
    const done = await outcome(bob.client.deleteDevice(tablet.device, {
        type: "m.login.password", session: refused.error?.data.session,
        identifier: { type: "m.id.user", user: bob.id }, password: stage.passwords.bob,
    }));
    check("and takes the right one", !done.error, done.error);
    const out = await until(() => tablet.client.getSyncState() === "ERROR" || tablet.client.getSyncState() === "STOPPED");
    check("the deleted device is out", out, tablet.client.getSyncState());
    tablet.client.stopClient();
    const gone = await until(async () => !(await alice.crypto.getUserDeviceInfo([bob.id], true)).get(bob.id)?.has(tablet.device));
    check("the others are told that it is gone", gone);
    const version = await bob.crypto.getActiveSessionBackupVersion();
    await bob.crypto.deleteKeyBackupVersion(version);
    check("a backup that is deleted is gone", (await bob.crypto.getKeyBackupInfo()) === null);
    await bob.crypto.resetKeyBackup();
    const next = await bob.crypto.getKeyBackupInfo();
    check("and the next one has another version", next?.version && next.version !== version, next);
}

async function goodbye() {
    for (const one of [alice, pocket, bob]) {
        check(`no sync of ${one.who} failed`, one.syncErrors.length === 0, one.syncErrors);
        check(`the sync of ${one.who} still runs`, one.client.getSyncState() === "SYNCING", one.client.getSyncState());
    }
    const answer = await outcome(pocket.client.logout(true));
    check("a device logs out", !answer.error, answer.error);
}

await facts.play(
    [meet, crossSigning, secretStorage, messages, relations, unread, backup, ownDevice, recovery, people, toDevice, newKeys, deletion, goodbye],
    cast, () => bob,
);
