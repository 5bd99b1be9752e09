// What a client asks of a server from day to day, through matrix-js-sdk without encryption.

import { Facts, logger, outcome, sdk, stage, until } from "./common.mjs";

const facts = new Facts("js-everyday");
const check = facts.check;
const cast = [];
const server = stage.server_name;
const { Direction, EventTimeline, TimelineWindow } = sdk;

class Person {
    syncErrors = [];

    constructor(name, login) {
        this.name = name;
        this.client = sdk.createClient({
            baseUrl: stage.url, logger, timelineSupport: true,
            userId: login.user_id, deviceId: login.device_id, accessToken: login.access_token,
        });
        this.id = login.user_id;
        this.client.on(sdk.ClientEvent.Sync, (state, _before, data) => {
            if (state === "ERROR" || state === "RECONNECTING") this.syncErrors.push(`${state}: ${data?.error}`);
        });
    }

    room(roomId) {
        return this.client.getRoom(roomId);
    }

    bodies(roomId) {
        return this.room(roomId)?.getLiveTimeline().getEvents().map((event) => event.getContent().body).filter(Boolean) ?? [];
    }

    hears(roomId, body) {
        return until(() => this.bodies(roomId).includes(body));
    }

    async say(roomId, body) {
        return (await this.client.sendTextMessage(roomId, body)).event_id;
    }
}

async function person(name) {
    const login = await sdk.createClient({ baseUrl: stage.url, logger }).loginRequest({
        type: "m.login.password", identifier: { type: "m.id.user", user: name }, password: stage.passwords[name],
    });
    const made = new Person(name, login);
    cast.push(made);
    await made.client.startClient({ initialSyncLimit: 5, threadSupport: true, lazyLoadMembers: true });
    check(`${name} syncs`, await until(() => made.client.getSyncState() === "SYNCING"), made.syncErrors);
    return made;
}

let alice, bob, hall;
const lines = [];

/** States that a call is granted and says what it should. */
async function gets(fact, waiting, test = () => true) {
    const answer = await outcome(waiting);
    let holds = false;
    try {
        holds = !answer.error && Boolean(await test(answer.value));
    } catch (error) {
        answer.error = error;
    }
    check(fact, holds, answer);
    return answer.value;
}

async function refuses(fact, waiting, errcode, status) {
    const { error } = await outcome(waiting);
    check(fact, error?.errcode === errcode && error.httpStatus === status, error);
}

async function meet() {
    alice = await person("alice");
    bob = await person("bob");
    hall = (await gets("a room", alice.client.createRoom({ preset: "public_chat", name: "Hall", visibility: "public" }))).room_id;
    await gets("is joined", bob.client.joinRoom(hall));
    for (let n = 0; n < 40; n++) lines.push(await alice.say(hall, `line ${n}`));
    check("what is said is heard", await bob.hears(hall, "line 39"));
}

/** A client that came late sees the newest events, and goes on in both directions from anywhere. */
async function timelines() {
    const carol = await person("carol");
    await carol.client.joinRoom(hall);
    await until(() => carol.room(hall)?.getMyMembership() === "join");
    await until(() => carol.bodies(hall).length > 0);
    const set = carol.room(hall).getUnfilteredTimelineSet();
    const inside = await gets("a permalink into the middle", carol.client.getEventTimeline(set, lines[17]),
        (timeline) => timeline !== carol.room(hall).getLiveTimeline() && timeline.getEvents().some((event) => event.getId() === lines[17]));
    const shown = () => inside.getEvents().map((event) => event.getContent().body).filter(Boolean);
    const before = shown().length;
    await gets("going on towards the present", carol.client.paginateEventTimeline(inside, { backwards: false, limit: 5 }));
    await gets("and the past", carol.client.paginateEventTimeline(inside, { backwards: true, limit: 5 }));
    const first = Number(shown()[0].split(" ")[1]);
    check("there is no hole in it", shown().length >= before + 10 && shown().every((body, n) => body === `line ${first + n}`), shown());
    const window = new TimelineWindow(carol.client, set, { windowLimit: 100 });
    await window.load(lines[20], 6);
    for (let n = 0; n < 10 && window.canPaginate(EventTimeline.FORWARDS); n++) await window.paginate(EventTimeline.FORWARDS, 10);
    for (let n = 0; n < 10 && window.canPaginate(EventTimeline.BACKWARDS); n++) await window.paginate(EventTimeline.BACKWARDS, 10);
    const seen = window.getEvents().map((event) => event.getContent().body).filter(Boolean);
    check("a window over all of it is whole", seen.length === 40 && seen.every((body, n) => body === `line ${n}`), seen);
    const bare = await person("robot");
    await bare.client.joinRoom(hall);
    await until(() => bare.bodies(hall).length > 0);
    await gets("scrolling back", bare.client.scrollback(bare.room(hall), 20), () => bare.bodies(hall).length >= 20);
    await gets("to the beginning", bare.client.scrollback(bare.room(hall), 100), () => bare.bodies(hall)[0] === "line 0");
    check("nothing is left out or told twice", bare.bodies(hall).join() === lines.map((_, n) => `line ${n}`).join(), bare.bodies(hall));
    bare.client.stopClient();
    await gets("the event nearest to a moment", bob.client.timestampToEvent(hall, 0, Direction.Forward), (found) => found.event_id);
    await refuses("an event that is not there is not found", bob.client.fetchRoomEvent(hall, "$none"), "M_NOT_FOUND", 404);
    carol.client.stopClient();
}

async function threads() {
    for (const [root, count] of [[lines[3], 2], [lines[5], 1]]) {
        for (let n = 0; n < count; n++) {
            await bob.client.sendMessage(hall, {
                "msgtype": "m.text", "body": `reply ${n}`, "m.relates_to": { rel_type: "m.thread", event_id: root },
            });
        }
    }
    // The SDK turns the server's order, newest first, round.
    await gets("the list of threads", alice.client.createThreadListMessagesRequest(hall, null, 10), (found) =>
        JSON.stringify(found.chunk.map((event) => event.event_id)) === JSON.stringify([lines[3], lines[5]]));
    const room = alice.room(hall);
    await gets("the threads of a room", room.createThreadsTimelineSets().then(() => room.fetchRoomThreads()), () => room.getThreads().length === 2);
    check("with how long they are", await until(() => room.getThread(lines[3])?.length === 2 && room.getThread(lines[5])?.length === 1),
        room.getThreads().map((thread) => [thread.id, thread.length]));
    await gets("what points to an event", alice.client.relations(hall, lines[3], "m.thread", null, { dir: Direction.Forward }),
        (found) => found.events.map((event) => event.getContent().body).join() === "reply 0,reply 1");
    await gets("a reaction", bob.client.sendEvent(hall, "m.reaction", { "m.relates_to": { rel_type: "m.annotation", event_id: lines[1], key: "+1" } }));
    await gets("is pointed to", alice.client.fetchRelations(hall, lines[1], "m.annotation", "m.reaction"), (found) => found.chunk.length === 1);
    await gets("an edit", alice.client.sendMessage(hall, {
        "msgtype": "m.text", "body": "* line one", "m.new_content": { msgtype: "m.text", body: "line one" },
        "m.relates_to": { rel_type: "m.replace", event_id: lines[1] },
    }));
    await gets("comes with what it replaces", bob.client.fetchRoomEvent(hall, lines[1]), (found) =>
        found.unsigned["m.relations"]["m.replace"].content["m.new_content"].body === "line one");
    await gets("a poll", alice.client.sendEvent(hall, "m.poll.start", {
        "m.text": [{ body: "tea?" }],
        "m.poll": { kind: "m.disclosed", max_selections: 1, question: { "m.text": [{ body: "tea?" }] }, answers: [
            { "m.id": "y", "m.text": [{ body: "yes" }] }, { "m.id": "n", "m.text": [{ body: "no" }] },
        ] },
    }), async ({ event_id: poll }) => {
        await bob.client.sendEvent(hall, "m.poll.response", { "m.selections": ["y"], "m.relates_to": { rel_type: "m.reference", event_id: poll } });
        return (await alice.client.fetchRelations(hall, poll, "m.reference", "m.poll.response")).chunk.length === 1;
    });
}

async function counts() {
    const room = () => bob.room(hall);
    const total = () => room().getRoomUnreadNotificationCount("total");
    const latest = async () => bob.room(hall).getLiveTimeline().getEvents().at(-1);
    await bob.client.sendReadReceipt(await latest());
    check("what is read is not counted", await until(() => total() === 0), total());
    await alice.say(hall, "one");
    const two = (await alice.client.sendMessage(hall, { "msgtype": "m.text", "body": "two, bob", "m.mentions": { user_ids: [bob.id] } })).event_id;
    check("what is not read is counted", await until(() => total() === 2), total());
    check("and where one is named", await until(() => room().getRoomUnreadNotificationCount("highlight") === 1), room().getRoomUnreadNotificationCount("highlight"));
    await gets("a private receipt", bob.client.sendReadReceipt(room().findEventById(two), "m.read.private"));
    check("counts for oneself", await until(() => total() === 0), total());
    await alice.say(hall, "three");
    await bob.hears(hall, "three");
    check("and is not seen by others", alice.room(hall).getEventReadUpTo(bob.id) !== two, alice.room(hall).getEventReadUpTo(bob.id));
    await gets("marked unread", bob.client.setRoomAccountData(hall, "m.marked_unread", { unread: true }));
    check("comes back by sync", await until(() => room().getAccountData("m.marked_unread")?.getContent().unread === true));
    await gets("the past notifications", bob.client.http.authedRequest("GET", "/notifications", { limit: 2 }), (found) =>
        found.notifications.length === 2 && found.notifications[0].event.content.body === "three");
}

async function accounts() {
    await gets("capabilities", alice.client.getCapabilities(), (found) => found["m.room_versions"].default);
    await gets("who one is", alice.client.whoami(), (me) => me.user_id === alice.id && me.device_id);
    await gets("an OpenID token", alice.client.getOpenIdToken(), (token) => token.access_token && token.matrix_server_name === server);
    await gets("a profile field of one's own", alice.client.setExtendedProfileProperty("org.vestibule.mood", "fine"));
    await gets("is read by others", bob.client.getExtendedProfileProperty(alice.id, "org.vestibule.mood"), (mood) => mood === "fine");
    await gets("with all the others", bob.client.getExtendedProfile(alice.id), (found) => found["org.vestibule.mood"] === "fine");
    await gets("and taken back", alice.client.deleteExtendedProfileProperty("org.vestibule.mood"));
    await gets("a name", alice.client.setDisplayName("Alice of the hall"));
    check("is told to the room", await until(() => bob.room(hall).getMember(alice.id)?.name === "Alice of the hall"));
    await gets("somebody is found by it", bob.client.searchUserDirectory({ term: "of the hall" }), (found) => found.results[0]?.user_id === alice.id);
    await gets("rooms in common", bob.client.getJoinedRooms(), (found) => found.joined_rooms.includes(hall));
    await gets("account data", alice.client.setAccountData("org.vestibule.test", { a: 1 }));
    check("comes back by sync", await until(() => alice.client.getAccountData("org.vestibule.test")?.getContent().a === 1));
    await gets("a tag", alice.client.setRoomTag(hall, "m.favourite", { order: 0.5 }));
    check("comes back by sync too", await until(() => alice.room(hall).tags["m.favourite"]?.order === 0.5), alice.room(hall).tags);
    await gets("a tag goes", alice.client.deleteRoomTag(hall, "m.favourite"), async () => !(await alice.client.getRoomTags(hall)).tags["m.favourite"]);
    await gets("somebody is ignored", bob.client.setIgnoredUsers([alice.id]));
    await until(() => bob.client.isUserIgnored(alice.id));
    const hushed = await alice.say(hall, "not for bob");
    await bob.client.setIgnoredUsers([]);
    await until(() => !bob.client.isUserIgnored(alice.id));
    await alice.say(hall, "for bob again");
    check("what they say is not told meanwhile", (await bob.hears(hall, "for bob again")) && !bob.room(hall).findEventById(hushed), bob.bodies(hall).slice(-3));
    await gets("a rule for pushes", alice.client.addPushRule("global", "content", "tea", { pattern: "tea", actions: ["notify"] }));
    check("comes by sync", await until(() => alice.client.pushRules?.global.content?.some((rule) => rule.rule_id === "tea")));
    await gets("is switched off", alice.client.setPushRuleEnabled("global", "content", "tea", false));
    await gets("and goes", alice.client.deletePushRule("global", "content", "tea"));
    await gets("one's devices", alice.client.getDevices(), ({ devices }) => devices.some((one) => one.device_id === alice.client.getDeviceId() && one.last_seen_ip));
    await gets("a device is named", alice.client.setDeviceDetails(alice.client.getDeviceId(), { display_name: "desk" }));
    await gets("a filter", alice.client.createFilter({ room: { timeline: { limit: 3 } } }), async (filter) =>
        (await alice.client.getFilter(alice.id, filter.filterId, false)).getDefinition().room.timeline.limit === 3);
    await gets("presence", alice.client.setPresence({ presence: "unavailable", status_msg: "tea" }), async () =>
        (await bob.client.getPresence(alice.id)).status_msg === "tea");
}

async function rooms() {
    await gets("the list of rooms", bob.client.publicRooms({ limit: 5 }), (found) => found.chunk.some((room) => room.room_id === hall));
    await gets("is searched", bob.client.publicRooms({ filter: { generic_search_term: "hal" } }), (found) => found.chunk.length === 1);
    await gets("a room looked at from outside", bob.client.getRoomSummary(hall), (found) => found.room_id === hall && found.num_joined_members >= 2);
    await gets("messages are searched", bob.client.searchRoomEvents({ term: "line" }), (found) => found.count >= 30 && found.results.length > 0);
    const space = (await gets("a space", alice.client.createRoom({ name: "Town", preset: "public_chat", creation_content: { type: "m.space" } }))).room_id;
    await gets("with a child", alice.client.sendStateEvent(space, "m.space.child", { via: [server] }, hall));
    await gets("is walked through", bob.client.getRoomHierarchy(space, 10), (found) =>
        found.rooms.map((room) => room.room_id).join() === [space, hall].join() && found.rooms[0].children_state.length === 1);
    const gate = (await gets("a room to knock at", alice.client.createRoom({
        name: "Gate", initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
    }))).room_id;
    await gets("a knock", bob.client.knockRoom(gate, { reason: "me" }));
    check("is heard", await until(() => alice.room(gate)?.getMember(bob.id)?.membership === "knock"), alice.room(gate)?.getMember(bob.id)?.membership);
    check("who knocks is told so", await until(() => bob.room(gate)?.getMyMembership() === "knock"), bob.room(gate)?.getMyMembership());
    await gets("is let in", alice.client.invite(gate, bob.id).then(() => bob.client.joinRoom(gate)));
    await gets("an upgrade", alice.client.upgradeRoom(gate, "12"), async ({ replacement_room: next }) =>
        until(() => alice.room(gate).currentState.getStateEvents("m.room.tombstone", "")?.getContent().replacement_room === next));
    await gets("members as lists", alice.client.members(hall, "join"), (found) => found.chunk.length >= 2);
    await gets("a report", bob.client.reportEvent(hall, lines[2], -50, "a test"));
    await gets("a report of a room", bob.client.reportRoom(hall, "a test"));
    await gets("leaving", bob.client.leave(gate));
    await gets("and forgetting", bob.client.forget(gate), () => !bob.client.getRoom(gate));
    const peeked = (await alice.client.createRoom({
        name: "Window", initial_state: [{ type: "m.room.history_visibility", state_key: "", content: { history_visibility: "world_readable" } }],
    })).room_id;
    await alice.say(peeked, "seen through glass");
    await gets("a room is looked into", bob.client.peekInRoom(peeked), (room) =>
        room.getLiveTimeline().getEvents().some((event) => event.getContent().body === "seen through glass"));
    await alice.say(peeked, "live through glass");
    check("and followed", await bob.hears(peeked, "live through glass"), bob.bodies(peeked));
    bob.client.stopPeeking();
}

async function files() {
    const text = new Blob(["some words"], { type: "text/plain" });
    const answer = await gets("an upload", alice.client.uploadContent(text, { name: "words.txt", type: "text/plain" }), (found) => found.content_uri);
    const where = bob.client.mxcUrlToHttp(answer.content_uri, undefined, undefined, undefined, false, true, true);
    const found = await fetch(where, { headers: { Authorization: `Bearer ${bob.client.getAccessToken()}` } });
    check("a download", found.status === 200 && (await found.text()) === "some words", [where, found.status]);
    await gets("the limits of files", alice.client.getMediaConfig(true), (config) => config["m.upload.size"] > 0);
    const token = await outcome(alice.client.requestLoginToken());
    check("a token for one more client asks for the password", token.error?.httpStatus === 401 && token.error.data.flows, token);
}

async function goodbye() {
    for (const one of [alice, bob]) {
        check(`no sync of ${one.name} failed`, one.syncErrors.length === 0, one.syncErrors);
    }
    await gets("a new password", alice.client.setPassword({
        type: "m.login.password", identifier: { type: "m.id.user", user: alice.id }, password: stage.passwords.alice,
    }, "another long password", true));
    await refuses("the old one is refused", sdk.createClient({ baseUrl: stage.url, logger }).loginRequest({
        type: "m.login.password", identifier: { type: "m.id.user", user: "alice" }, password: stage.passwords.alice,
    }), "M_FORBIDDEN", 403);
    await gets("logging out", bob.client.logout(true));
}

await facts.play([meet, timelines, threads, counts, accounts, rooms, files, goodbye], cast, () => hall);
