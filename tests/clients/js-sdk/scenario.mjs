// The guest scenario through matrix-js-sdk: two members, a moderator, and people without an account.

import { request } from "node:http";

import { Facts, logger, outcome, patience, sdk, show, stage, until } from "./common.mjs";

const server = stage.server_name;
const forbidden = "M_FORBIDDEN";
const guestForbidden = "M_GUEST_ACCESS_FORBIDDEN";
const guestAccess = (value) => ({ type: "m.room.guest_access", state_key: "", content: { guest_access: value } });
const alias = (localpart) => `#${localpart}:${server}`;

const facts = new Facts("js-sdk");
const check = facts.check;

/** Whether the SDK was refused by the policy: 403, the code of the class, and a reason. */
function refused({ error }, errcode = guestForbidden) {
    return error?.httpStatus === 403 && error.errcode === errcode && typeof error.data?.["org.vestibule.reason"] === "string";
}

/** One request exactly as written: neither `fetch` nor the SDK tidies the path. */
function raw(person, method, path, body) {
    const url = new URL(stage.url);
    return new Promise((resolve, reject) => {
        const sent = request(
            {
                host: url.hostname, port: url.port, method, path,
                headers: { "Content-Type": "application/json", "Authorization": `Bearer ${person.client.getAccessToken()}` },
            },
            (answer) => {
                let text = "";
                answer.setEncoding("utf8");
                answer.on("data", (part) => (text += part));
                answer.on("end", () => {
                    let data = text;
                    try {
                        data = JSON.parse(text);
                    } catch {
                        // An answer that is not JSON is shown as it came.
                    }
                    resolve({ status: answer.statusCode, data });
                });
            },
        );
        sent.on("error", reject);
        sent.end(JSON.stringify(body));
    });
}

const rawRefused = ({ status, data }, errcode = guestForbidden) =>
    status === 403 && data.errcode === errcode && typeof data["org.vestibule.reason"] === "string";

/** One client that syncs in the background. */
class Person {
    constructor(client) {
        this.client = client;
        this.id = client.getUserId();
        this.syncErrors = [];
        client.on(sdk.ClientEvent.Sync, (state, _before, data) => {
            if (state === "ERROR" || state === "RECONNECTING") this.syncErrors.push(`${state}: ${data?.error}`);
        });
    }

    async listen() {
        await this.client.startClient({ initialSyncLimit: 20 });
        return until(() => ["PREPARED", "SYNCING"].includes(this.client.getSyncState()));
    }

    /** My membership as sync told it. */
    mine(roomId) {
        return this.client.getRoom(roomId)?.getMyMembership();
    }

    /** Somebody's member entry as sync told it. */
    sees(roomId, userId) {
        return this.client.getRoom(roomId)?.currentState.getStateEvents("m.room.member", userId)?.getContent() ?? {};
    }

    hears(roomId, body) {
        return until(() =>
            this.client.getRoom(roomId)?.getLiveTimeline().getEvents()
                .some((event) => event.getContent().body === body && event.getSender() && !event.status));
    }

    async roomsInside() {
        return (await this.client.getJoinedRooms()).joined_rooms.sort();
    }
}

const cast = [];

async function member(name) {
    const login = await outcome(sdk.createClient({ baseUrl: stage.url, logger }).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: name },
        password: stage.passwords[name],
    }));
    check(`${name} logs in`, login.value?.access_token, login.error);
    const { user_id: userId, device_id: deviceId, access_token: accessToken } = login.value;
    const person = new Person(sdk.createClient({ baseUrl: stage.url, userId, deviceId, accessToken, logger }));
    cast.push(person);
    check(`${name} syncs`, await person.listen(), person.syncErrors);
    return person;
}

async function guest() {
    const answer = await sdk.createClient({ baseUrl: stage.url, logger }).registerGuest();
    const client = sdk.createClient({
        baseUrl: stage.url, userId: answer.user_id, deviceId: answer.device_id, accessToken: answer.access_token, logger,
    });
    client.setGuest(true);
    const person = new Person(client);
    cast.push(person);
    check("a guest syncs", await person.listen(), person.syncErrors);
    return person;
}

/** A room that lets anybody in, guests included, as far as the room itself goes. */
async function room(who, name, { joinRule, access = "can_join", state = [], ...more } = {}) {
    const initialState = [guestAccess(access), ...state];
    if (joinRule) initialState.push({ type: "m.room.join_rules", state_key: "", content: { join_rule: joinRule } });
    const made = await who.client.createRoom({ preset: "public_chat", name, initial_state: initialState, ...more });
    return made.room_id;
}

let alice, bob, mona, stray, visitor, prowler, quiet, hall, opened;

async function meet() {
    alice = await member("alice");
    bob = await member("bob");
    mona = await member("mona");
    stray = await member("stray");
    visitor = await guest();
    prowler = await guest();
    quiet = await guest();
    check("a guest registers without an account", visitor.id.startsWith("@guest-"), visitor.id);
    const me = await visitor.client.whoami();
    check("whoami calls a guest a guest", me.is_guest === true && me.user_id === visitor.id, me);
    const rules = alice.client.pushRules?.global?.override?.map((rule) => rule.rule_id) ?? [];
    check("a member has the default push rules", rules.includes(".m.rule.master"), rules);
    const turn = await outcome(alice.client.turnServer());
    check("there is no TURN server, and the answer says so", turn.error?.httpStatus === 404, turn);
}

/** The aliased room: in, heard, hearing. */
async function frontDoor() {
    hall = await room(alice, "Hall");
    await bob.client.joinRoom(hall);
    await mona.client.joinRoom(hall);
    let answer = await outcome(visitor.client.joinRoom(hall));
    check("refuses a guest in a room without an alias", refused(answer), answer);
    answer = await outcome(alice.client.createAlias(alias("hall"), hall));
    check("refuses an alias to a plain member", refused(answer, forbidden), answer);
    answer = await outcome(visitor.client.joinRoom(alias("hall")));
    check("an alias that was refused opens nothing", answer.error, answer);
    await mona.client.createAlias(alias("hall"), hall);
    answer = await outcome(visitor.client.joinRoom(alias("hall")));
    check("a guest joins the aliased room by its alias", answer.value?.roomId === hall, answer.error);
    for (const [person, name] of [[alice, "the first member"], [bob, "the second member"]]) {
        const seen = await until(() => person.sees(hall, visitor.id).membership === "join");
        check(`${name} sees the guest join`, seen, person.sees(hall, visitor.id));
    }
    const shown = bob.sees(hall, visitor.id).displayname ?? "";
    check("the guest's name carries the server's mark", shown.endsWith(" (guest)"), shown);
    answer = await outcome(visitor.client.sendTextMessage(hall, "hello from outside"));
    check("a guest may speak in the aliased room", answer.value?.event_id, answer.error);
    check("the guest is heard by the first member", await alice.hears(hall, "hello from outside"));
    check("the guest is heard by the second member", await bob.hears(hall, "hello from outside"));
    await bob.client.sendTextMessage(hall, "welcome");
    check("the guest hears", await visitor.hears(hall, "welcome"));
    // The SDK sends neither typing nor receipts for a guest; the plain requests stand in for clients that do.
    const id = encodeURIComponent(hall);
    answer = await raw(visitor, "PUT", `/_matrix/client/v3/rooms/${id}/typing/${encodeURIComponent(visitor.id)}`, { typing: true, timeout: 3000 });
    check("a guest may type", answer.status === 200, answer);
    const heard = visitor.client.getRoom(hall)?.getLiveTimeline().getEvents().at(-1).getId();
    answer = await raw(visitor, "POST", `/_matrix/client/v3/rooms/${id}/receipt/m.read/${encodeURIComponent(heard)}`, {});
    check("a guest may send a receipt", answer.status === 200, answer);
    answer = await outcome(visitor.client.createMessagesRequest(hall, null, 20, "b"));
    const bodies = answer.value?.chunk.map((event) => event.content?.body) ?? [];
    check("a guest reads back", bodies.includes("welcome"), answer.error ?? bodies);
}

/** Power in a room does not lift the ceiling of a class. */
async function ceiling() {
    await alice.client.setPowerLevel(hall, visitor.id, 50);
    check("the guest is told of its power", await until(
        () => visitor.client.getRoom(hall).currentState.getStateEvents("m.room.power_levels", "")?.getContent().users?.[visitor.id] === 50));
    let answer = await outcome(visitor.client.kick(hall, bob.id));
    check("refuses a kick to a guest with power", refused(answer), answer);
    answer = await outcome(visitor.client.createAlias(alias("mine"), hall));
    check("refuses an alias to a guest with power", refused(answer), answer);
    answer = await outcome(visitor.client.setRoomTopic(hall, "mine"));
    check("refuses a topic to a guest with power", refused(answer), answer);
    answer = await outcome(visitor.client.createRoom({}));
    check("refuses a guest a room of its own", refused(answer), answer);
    answer = await outcome(visitor.client.invite(hall, stray.id));
    check("refuses an invitation by a guest", refused(answer), answer);
}

/** Every room that is not open, by its id and by its alias. */
async function wrongDoors() {
    for (const [name, where] of [
        ["a never room by its alias", alias("staff")],
        ["a never room by another alias", alias("staff-lounge")],
        ["a never room by its id", stage.rooms.staff],
        ["a room whose alias was made before rights were asked for", alias("early")],
        ["that room by its id", stage.rooms.early],
    ]) {
        const answer = await outcome(prowler.client.joinRoom(where));
        check(`refuses a guest in ${name}`, refused(answer), answer);
    }
    const den = await room(alice, "Den");
    await alice.client.createAlias(alias("~alice~den"), den);
    let answer = await outcome(prowler.client.joinRoom(alias("~alice~den")));
    check("a member's own alias opens no door", refused(answer), answer);
    answer = await outcome(alice.client.createAlias(alias("~bob~den"), den));
    check("refuses a member somebody else's prefix", refused(answer, forbidden), answer);
    const claimed = { type: "m.room.canonical_alias", state_key: "", content: { alias: alias("claimed") } };
    const where = await outcome(room(alice, "Claimed", { state: [claimed] }));
    if (where.error) {
        check("a false canonical alias makes no room or no door", where.error.httpStatus < 500, where.error);
    } else {
        answer = await outcome(prowler.client.joinRoom(where.value));
        check("a false canonical alias makes no room or no door", refused(answer), answer);
    }
    const before = await alice.roomsInside();
    answer = await outcome(room(alice, "Shortcut", { room_alias_name: "shortcut" }));
    check("refuses a room with an alias to a plain member", refused(answer, forbidden), answer);
    check("a refused createRoom leaves no room", show(await alice.roomsInside()) === show(before), before);
}

/** Invitation, knock, the membership event itself, and odd spellings of the path. */
async function backDoors() {
    const closed = await room(alice, "Closed");
    let answer = await outcome(alice.client.invite(closed, prowler.id));
    check("refuses an invitation of a guest into a closed room", refused(answer, forbidden), answer);
    answer = await outcome(alice.client.sendStateEvent(closed, "m.room.member", { membership: "invite" }, prowler.id));
    check("refuses that invitation written as state", refused(answer, forbidden), answer);
    const before = await alice.roomsInside();
    answer = await outcome(alice.client.createRoom({ is_direct: true, invite: [prowler.id] }));
    check("refuses a room made around a guest", refused(answer, forbidden), answer);
    check("that refusal leaves no room", show(await alice.roomsInside()) === show(before), before);
    const base = "/_matrix/client/v3";
    const id = encodeURIComponent(closed);
    answer = await raw(prowler, "POST", `${base}/rooms/${id}/join`, {});
    check("refuses a guest at rooms/{id}/join", rawRefused(answer), answer);
    const knocking = await room(alice, "Knocking", { joinRule: "knock" });
    answer = await outcome(prowler.client.knockRoom(knocking));
    check("refuses a knock by a guest", refused(answer), answer);
    const me = { membership: "join", displayname: "nobody" };
    answer = await outcome(prowler.client.sendStateEvent(closed, "m.room.member", me, prowler.id));
    check("refuses a guest that writes its own membership", refused(answer), answer);
    answer = await outcome(prowler.client.sendStateEvent(stage.rooms.staff, "m.room.member", me, prowler.id));
    check("refuses that in a never room too", refused(answer), answer);
    const encoded = [...closed].map((c) => `%${c.charCodeAt(0).toString(16)}`).join("");
    answer = await raw(prowler, "POST", `${base}/join/${encoded}`, {});
    check("refuses a room id that is percent-encoded letter by letter", rawRefused(answer), answer);
    for (const spelling of [
        `${base}/%6Aoin/${id}`, `${base}/join/${id}/`, `${base}//join/${id}`, `${base}/rooms/${id}/./join`, `${base}/rooms/${id}%2Fjoin`,
    ]) {
        answer = await raw(prowler, "POST", spelling, {});
        check(`no way in by ${spelling.replace(id, "ROOM")}`, answer.status >= 300, answer);
    }
    check("a guest refused at every door is in no room", (await prowler.roomsInside()).length === 0, await prowler.roomsInside());
    check("no invitation reached the guest", prowler.mine(closed) === undefined, prowler.mine(closed));
}

/** Writing one's own membership into an open room is the join handler, mark included. */
async function sameHandler() {
    const me = { membership: "join", displayname: "Wanderer" };
    const answer = await outcome(prowler.client.sendStateEvent(hall, "m.room.member", me, prowler.id));
    check("a guest may write its own membership into an open room", answer.value?.event_id, answer.error);
    await until(() => bob.sees(hall, prowler.id).membership === "join");
    const shown = bob.sees(hall, prowler.id).displayname ?? "";
    check("and still carries the mark", shown.endsWith(" (guest)"), shown);
}

/** An open door does not replace the room's own join rules. */
async function joinRules() {
    const club = await room(mona, "Club", { joinRule: "invite" });
    await mona.client.createAlias(alias("club"), club);
    let answer = await outcome(visitor.client.joinRoom(alias("club")));
    check("join rules still apply behind an open door", answer.error?.httpStatus === 403, answer);
    answer = await outcome(mona.client.invite(club, visitor.id));
    check("a guest may be invited into an open room", !answer.error, answer.error);
    check("the guest is told of the invitation", await until(() => visitor.mine(club) === "invite"), visitor.mine(club));
    answer = await outcome(visitor.client.joinRoom(club));
    check("and accepts it", answer.value?.roomId === club, answer.error);
    const shut = await room(mona, "Shut", { access: "forbidden" });
    await mona.client.createAlias(alias("shut"), shut);
    answer = await outcome(prowler.client.joinRoom(alias("shut")));
    check("refuses a guest where the room forbids guests",
        answer.error?.httpStatus === 403 && answer.error.errcode === guestForbidden, answer);
}

async function listed() {
    const answer = await outcome(visitor.client.joinRoom(stage.rooms.listed));
    check("a listed room is open without an alias", answer.value?.roomId === stage.rooms.listed, answer.error);
}

/** A child added by a curator opens; one added by a stranger with power does not. */
async function space() {
    opened = await room(alice, "Opened by the space");
    const shut = await room(alice, "Not opened by a stranger");
    const via = { via: [server] };
    let answer = await outcome(visitor.client.joinRoom(stage.rooms.space));
    check("the space itself is open", !answer.error, answer.error);
    answer = await outcome(visitor.client.joinRoom(opened));
    check("refuses a guest in a room before it is a child", refused(answer), answer);
    await mona.client.sendStateEvent(stage.rooms.space, "m.space.child", via, opened);
    answer = await outcome(visitor.client.joinRoom(opened));
    check("a child added by a curator is open at once", answer.value?.roomId === opened, answer.error);
    await stray.client.sendStateEvent(stage.rooms.space, "m.space.child", via, shut);
    answer = await outcome(visitor.client.joinRoom(shut));
    check("a child added by a stranger is not", refused(answer), answer);
    await visitor.client.sendTextMessage(opened, "in the space");
    await mona.client.sendStateEvent(stage.rooms.space, "m.space.child", {}, opened);
    answer = await outcome(visitor.client.sendTextMessage(opened, "after the space"));
    check("a child that is taken out is frozen", refused(answer), answer);
}

/** The alias goes: frozen (reads and leaves, cannot speak), then out. */
async function closing() {
    const porch = await room(mona, "Porch");
    const again = await room(mona, "Closed and opened again");
    for (const [name, where] of [["porch", porch], ["again", again]]) {
        await mona.client.createAlias(alias(name), where);
        await visitor.client.joinRoom(alias(name));
    }
    await quiet.client.joinRoom(alias("porch"));
    await visitor.client.sendTextMessage(porch, "before it closed");
    check("a member heard the guest on the porch", await mona.hears(porch, "before it closed"));
    await mona.client.deleteAlias(alias("again"));
    let answer = await outcome(visitor.client.sendTextMessage(again, "too late"));
    check("frozen at once when the alias goes", refused(answer), answer);
    await mona.client.createAlias(alias("again"), again);
    answer = await outcome(visitor.client.sendTextMessage(again, "open again"));
    check("thawed at once when the alias is back", answer.value?.event_id, answer.error);
    await until(() => visitor.mine(porch) === "join");
    await mona.client.deleteAlias(alias("porch"));
    const closedAt = Date.now();
    answer = await outcome(visitor.client.sendTextMessage(porch, "frozen"));
    check("a frozen guest cannot send", refused(answer), answer);
    answer = await outcome(visitor.client.createMessagesRequest(porch, null, 20, "b"));
    const bodies = answer.value?.chunk.map((event) => event.content?.body) ?? [];
    check("a frozen guest can read", bodies.includes("before it closed"), answer.error ?? bodies);
    answer = await outcome(quiet.client.leave(porch));
    check("a frozen guest can leave", !answer.error, answer.error);
    const held = visitor.mine(porch) === "join" && Date.now() - closedAt < stage.evict_after_ms;
    check("a frozen guest is not evicted before its time", held, [visitor.mine(porch), Date.now() - closedAt]);
    const within = stage.evict_after_ms + patience;
    let gone = await until(() => visitor.mine(porch) === "leave", within);
    check("a frozen guest is evicted, and is told so by sync", gone, visitor.mine(porch));
    gone = await until(() => mona.sees(porch, visitor.id).membership === "leave");
    check("the members see the guest leave", gone, mona.sees(porch, visitor.id));
    answer = await outcome(visitor.client.joinRoom(porch));
    check("an evicted guest does not come back", refused(answer), answer);
    gone = await until(() => visitor.mine(opened) === "leave", within);
    check("a guest is evicted from the room taken out of the space", gone, visitor.mine(opened));
    check("a guest stays where the door was opened again", visitor.mine(again) === "join", visitor.mine(again));
    answer = await outcome(visitor.client.sendTextMessage(hall, "still here"));
    check("a guest stays in the room that is still open", answer.value?.event_id, answer.error);
}

async function goodbye() {
    let answer = await outcome(visitor.client.leave(hall));
    check("a guest may always leave", !answer.error, answer.error);
    answer = await outcome(quiet.client.logout(true));
    check("a guest may log out", !answer.error, answer.error);
    for (const person of [alice, bob, mona, visitor, prowler]) {
        check(`no sync of ${person.id.slice(0, 7)} failed`, person.syncErrors.length === 0, person.syncErrors);
        check(`the sync of ${person.id.slice(0, 7)} still runs`, person.client.getSyncState() === "SYNCING", person.client.getSyncState());
    }
}

await facts.play(
    [meet, frontDoor, ceiling, wrongDoors, backDoors, sameHandler, joinRules, listed, space, closing, goodbye],
    cast, () => cast.length >= 7,
);
