// One device of somebody, with the Rust crypto of matrix-js-sdk.

import { logger, outcome, sdk, stage, until } from "./common.mjs";

export const crypto = await import("matrix-js-sdk/lib/crypto-api/index.js");
export const megolm = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };
export const emojis = "m.sas.v1";

/** One device of somebody: a client with its own keys, syncing in the background. */
export class Device {
    syncErrors = [];
    requests = [];
    toDevice = [];
    notes = { sessionsLeft: undefined };
    line = new AbortController();
    /** The key of the secret storage, once its owner typed it in here. */
    recoveryKey = null;

    constructor(name, label, login) {
        this.name = name;
        this.label = label;
        this.client = sdk.createClient({
            baseUrl: stage.url, logger,
            userId: login.user_id, deviceId: login.device_id, accessToken: login.access_token,
            verificationMethods: [emojis],
            fetchFn: (where, how) => this.fetch(where, how),
            cryptoCallbacks: {
                getSecretStorageKey: async ({ keys }) =>
                    this.recoveryKey && [Object.keys(keys)[0], this.recoveryKey.privateKey],
            },
        });
        this.id = this.client.getUserId();
        this.device = this.client.getDeviceId();
        this.client.on(sdk.ClientEvent.Sync, (state, _before, data) => {
            if (state === "ERROR" || state === "RECONNECTING") this.syncErrors.push(`${state}: ${data?.error}`);
        });
        this.client.on(crypto.CryptoEvent.VerificationRequestReceived, (request) => this.requests.push(request));
        this.client.on(crypto.CryptoEvent.KeyBackupSessionsRemaining, (left) => (this.notes.sessionsLeft = left));
        this.client.on(sdk.ClientEvent.ReceivedToDeviceMessage, (payload) => this.toDevice.push(payload));
    }

    /** A network that can be cut. */
    fetch(where, how = {}) {
        const signals = [this.line.signal, how.signal].filter(Boolean);
        return fetch(where, { ...how, signal: AbortSignal.any(signals) });
    }

    goAway() {
        this.line.abort(new TypeError("there is no network"));
    }

    comeBack() {
        this.line = new AbortController();
        this.client.retryImmediately();
    }

    get crypto() {
        return this.client.getCrypto();
    }

    get who() {
        return `${this.name}'s ${this.label}`;
    }

    room(roomId) {
        return this.client.getRoom(roomId);
    }

    events(roomId) {
        const room = this.room(roomId);
        const threads = room?.getThreads().flatMap((thread) => thread.events) ?? [];
        return [...(room?.getLiveTimeline().getEvents() ?? []), ...threads];
    }

    event(roomId, id) {
        return this.events(roomId).find((event) => event.getId() === id);
    }

    /** Whether an event arrives, was encrypted, and reads so. */
    reads(roomId, id, body) {
        return until(() => {
            const event = this.event(roomId, id);
            return event?.isEncrypted() && event.getContent().body === body;
        });
    }

    seen(roomId, id) {
        const event = this.event(roomId, id);
        return event && { content: event.getContent(), failure: event.decryptionFailureReason };
    }

    async say(roomId, content) {
        const whole = typeof content === "string" ? { msgtype: "m.text", body: content } : content;
        return (await this.client.sendMessage(roomId, whole)).event_id;
    }

    /** Cross-signing, for somebody who has none yet. */
    async setUpCrossSigning() {
        await this.crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: this.password(stage.passwords[this.name]) });
    }

    /** Secret storage under a new key, with a new backup. */
    async setUpSecretStorage(phrase) {
        this.recoveryKey = await this.crypto.createRecoveryKeyFromPassphrase(phrase);
        await this.crypto.bootstrapSecretStorage({
            createSecretStorageKey: async () => this.recoveryKey, setupNewSecretStorage: true, setupNewKeyBackup: true,
        });
    }

    /** The cross-signing keys out of secret storage, on a device that has none. */
    async recover(recoveryKey) {
        this.recoveryKey = recoveryKey;
        await until(() => this.crypto.userHasCrossSigningKeys(this.id, true));
        await this.crypto.bootstrapCrossSigning({});
        return this.crypto.isCrossSigningReady();
    }

    /** The password asked for, as a client's dialogue does. */
    password(password, asked = {}) {
        return async (request) => {
            try {
                return await request(null);
            } catch (error) {
                if (error.httpStatus !== 401 || !error.data?.flows) throw error;
                asked.flows = error.data.flows;
                return await request({
                    type: "m.login.password", session: error.data.session,
                    identifier: { type: "m.id.user", user: this.id }, password,
                });
            }
        };
    }
}

/** Logs a new device in and lets it sync. `how` may bring options of `startClient` that need the client. */
export async function arrive(facts, cast, name, label, how = () => ({})) {
    const login = await outcome(sdk.createClient({ baseUrl: stage.url, logger }).loginRequest({
        type: "m.login.password", identifier: { type: "m.id.user", user: name },
        password: stage.passwords[name], initial_device_display_name: label,
    }));
    facts.check(`${name}'s ${label} logs in`, login.value?.access_token, login.error);
    const made = new Device(name, label, login.value);
    cast.push(made);
    await made.client.initRustCrypto({ useIndexedDB: false });
    await made.client.startClient({ initialSyncLimit: 50, threadSupport: true, ...how(made.client) });
    const synced = await until(() => ["PREPARED", "SYNCING"].includes(made.client.getSyncState()));
    facts.check(`${made.who} syncs`, synced, made.syncErrors);
    return made;
}
