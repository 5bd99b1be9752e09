// A small client on matrix-js-sdk: members and guests, rooms opened by a link (`#/room/ALIAS-OR-ID`), and
// encryption by the Rust library, whose keys lie in IndexedDB.

import * as sdk from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger";

logger.setLevel?.("silent");

const baseUrl = new URLSearchParams(location.search).get("homeserver");
const by = (id) => document.getElementById(id);
const kept = "door-session";
let client;
let roomId;

/** Shows what a refusal says, as a person reads it. */
function refusal(error) {
    by("error").textContent = error ? `${error.errcode ?? error.name}: ${error.data?.error ?? error.message}` : "";
}

/** Does something somebody asked for; a refusal is shown. */
const attempt = (work) => async (event) => {
    event?.preventDefault?.();
    refusal();
    try {
        await work(event);
    } catch (error) {
        refusal(error);
    }
};

async function enter({ user_id, device_id, access_token, guest }) {
    localStorage.setItem(kept, JSON.stringify({ user_id, device_id, access_token, guest }));
    client = sdk.createClient({ baseUrl, userId: user_id, deviceId: device_id, accessToken: access_token, useAuthorizationHeader: true });
    client.setGuest(Boolean(guest));
    await client.initRustCrypto({ useIndexedDB: true, cryptoDatabasePrefix: `door-${device_id}` });
    for (const event of [sdk.ClientEvent.Sync, sdk.RoomEvent.Timeline, sdk.RoomEvent.MyMembership, sdk.RoomEvent.Name,
        sdk.RoomMemberEvent.Typing, sdk.MatrixEventEvent.Decrypted, sdk.RoomStateEvent.Members]) {
        client.on(event, () => draw());
    }
    await client.startClient({ initialSyncLimit: 30 });
    // Before the first sync every room looks as if one had to look in from outside.
    await told(() => client.isInitialSyncComplete());
    by("login").hidden = true;
    document.querySelector("main").hidden = false;
    by("me").textContent = user_id;
    await attempt(openLink)();
}

/** Waits until sync told of something. */
async function told(test) {
    while (!test()) await new Promise((next) => client.once(sdk.ClientEvent.Sync, next));
}

/** Opens what the address names; who is not in the room looks in from outside. */
async function openLink() {
    const named = decodeURIComponent(location.hash.replace(/^#\/room\//, ""));
    if (!named) return;
    roomId = named.startsWith("#") ? (await client.getRoomIdForAlias(named)).room_id : named;
    by("join").dataset.target = named;
    const known = client.getRoom(roomId)?.getMyMembership();
    if (known !== "join" && known !== "invite") {
        by("join").hidden = false;
        await client.peekInRoom(roomId, 20);
    }
    draw();
}

function draw() {
    const rooms = client.getRooms().map((room) => {
        const entry = document.createElement("li");
        const link = document.createElement("a");
        link.href = `#/room/${room.roomId}`;
        link.textContent = `${room.name} (${room.getMyMembership()})`;
        entry.append(link);
        return entry;
    });
    by("rooms").replaceChildren(...rooms);
    const room = client.getRoom(roomId);
    if (!room) return;
    by("room").textContent = room.name;
    by("join").hidden = room.getMyMembership() === "join";
    by("lines").replaceChildren(...room.getLiveTimeline().getEvents().filter((event) => event.getType().startsWith("m.room.") && (event.getContent().body || event.isDecryptionFailure())).map(line));
    const typing = room.getMembers().filter((member) => member.typing).map((member) => member.name);
    by("typing").textContent = typing.length ? `${typing.join(", ")} typing` : "";
}

const pictures = new Map();

function line(event) {
    const { msgtype, body, url } = event.getContent();
    const drawn = document.createElement("div");
    drawn.className = event.isDecryptionFailure() ? "line undecrypted" : "line";
    drawn.dataset.encrypted = event.isEncrypted();
    const who = document.createElement("b");
    who.textContent = event.sender?.name ?? event.getSender();
    drawn.append(who, ` ${body}`);
    if (msgtype === "m.image") drawn.append(picture(url));
    return drawn;
}

/** A thumbnail, asked for with the token in the header: a request that needs a preflight. */
function picture(mxc) {
    if (!pictures.has(mxc)) {
        const image = document.createElement("img");
        pictures.set(mxc, image);
        const from = client.mxcUrlToHttp(mxc, 320, 240, "scale", false, true, true);
        image.dataset.from = from;
        fetch(from, { headers: { Authorization: `Bearer ${client.getAccessToken()}` } })
            .then(async (answer) => {
                if (!answer.ok) throw Object.assign(new Error(), await answer.json());
                image.src = URL.createObjectURL(await answer.blob());
            })
            .catch((error) => { image.alt = `${error.errcode ?? error}`; });
    }
    return pictures.get(mxc);
}

by("login").addEventListener("submit", attempt(async () => {
    const fresh = sdk.createClient({ baseUrl });
    const identifier = { type: "m.id.user", user: by("user").value };
    await enter(await fresh.loginRequest({ type: "m.login.password", identifier, password: by("password").value }));
}));
by("guest").addEventListener("click", attempt(async () => {
    await enter({ ...(await sdk.createClient({ baseUrl }).registerGuest({ body: {} })), guest: true });
}));
by("join").addEventListener("click", attempt(async () => {
    client.stopPeeking();
    ({ roomId } = await client.joinRoom(by("join").dataset.target));
    draw();
}));
by("say").addEventListener("submit", attempt(async () => {
    const { value } = by("text");
    by("text").value = "";
    await client.sendTextMessage(roomId, value);
}));
by("text").addEventListener("input", () => client.sendTyping(roomId, true, 8000).catch(refusal));
by("picture").addEventListener("change", attempt(async ({ target }) => {
    const [file] = target.files;
    const { content_uri } = await client.uploadContent(file, { type: file.type, name: file.name });
    await client.sendImageMessage(roomId, content_uri, { mimetype: file.type, size: file.size }, file.name);
}));
by("closet").addEventListener("click", attempt(async () => {
    const encryption = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
    const made = await client.createRoom({ name: "Safe", preset: sdk.Preset.PrivateChat, initial_state: [encryption] });
    await told(() => client.getRoom(made.room_id)?.getMyMembership() === "join");
    location.hash = `#/room/${made.room_id}`;
}));
by("logout").addEventListener("click", attempt(async () => {
    await client.logout(true);
    await client.clearStores({ cryptoDatabasePrefix: `door-${client.getDeviceId()}` });
    localStorage.removeItem(kept);
    location.reload();
}));
window.addEventListener("hashchange", attempt(openLink));

const session = localStorage.getItem(kept);
if (session) await attempt(() => enter(JSON.parse(session)))();
document.body.dataset.ready = "yes";
