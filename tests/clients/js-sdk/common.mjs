// What the scenarios of matrix-js-sdk share: facts, patience, and a console that keeps quiet.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";

// The SDK talks a lot on the console; only what it reports as an error is worth a line, and only on request.
const loud = Boolean(process.env.VESTIBULE_CLIENTS_LOUD);
const quietly = () => {};
export const logger = {
    trace: quietly, debug: quietly, info: quietly,
    warn: loud ? console.error : quietly,
    error: loud ? console.error : quietly,
    getChild: () => logger,
};
for (const name of ["debug", "info", "warn", "error"]) console[name] = loud ? console[name] : quietly;

export const sdk = await import("matrix-js-sdk");
export const stage = JSON.parse(readFileSync(process.argv[2], "utf8"));
export const patience = 15_000;

/** Counts the facts of one scenario. */
export class Facts {
    passed = 0;
    failed = 0;

    constructor(scenario) {
        this.scenario = scenario;
    }

    /** States one fact; `seen` is printed when it does not hold. */
    check = (fact, holds, seen) => {
        if (holds) {
            this.passed += 1;
            console.log(`ok      [${this.scenario}] ${fact}`);
        } else {
            this.failed += 1;
            console.log(`FAILED  [${this.scenario}] ${fact}\n        seen: ${show(seen)}`);
        }
        return Boolean(holds);
    };

    /** Plays the acts one after the other, as long as the cast is there, and ends the process. */
    async play(acts, cast, present) {
        const watchdog = globalThis.setTimeout(() => {
            console.log(`FAILED  [${this.scenario}] the scenario ends in time\n${this.passed} passed, ${this.failed + 1} failed`);
            process.exit(1);
        }, 300_000);
        for (const act of acts) {
            try {
                await act();
            } catch (error) {
                this.check(`${act.name} runs to its end`, false, error);
            }
            if (!present()) break; // Without the cast there is no play.
        }
        clearTimeout(watchdog);
        for (const person of cast) person.client.stopClient();
        console.log(`${this.passed} passed, ${this.failed} failed`);
        process.exit(this.failed ? 1 : 0);
    }
}

export function show(seen) {
    if (seen?.error instanceof Error) return show(seen.error);
    if (seen instanceof Error && seen.httpStatus) return `${seen.url} -> ${seen.httpStatus} ${JSON.stringify(seen.data)}`;
    if (seen instanceof Error) return seen.stack;
    if (seen?.value?.roomId) return `the room ${seen.value.roomId}`;
    try {
        return JSON.stringify(seen);
    } catch {
        return String(seen);
    }
}

/** What a promise came to: its value, or the error it was refused with. */
export async function outcome(waiting) {
    try {
        return { value: await waiting };
    } catch (error) {
        return { error };
    }
}

/** Waits until `test()` holds, also one that answers later; answers with whether it came to hold. */
export async function until(test, within = patience) {
    const end = Date.now() + within;
    while (!(await test())) {
        if (Date.now() > end) return Boolean(await test());
        await sleep(50);
    }
    return true;
}

/** Asks the stage to restart the server, and waits until it is back. */
export async function restart() {
    const lines = createInterface({ input: process.stdin });
    console.log("stage: restart");
    const answer = await new Promise((resolve) => lines.once("line", resolve));
    lines.close();
    if (answer !== "restarted") throw new Error("the server did not come back");
}
