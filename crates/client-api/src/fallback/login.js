// Logs in with a name and a password and hands the answer to the client that opened the page.
"use strict";

const LOGIN = "/_matrix/client/v3/login";
const form = document.getElementById("login");
const message = document.getElementById("message");

// Parameters of the login request that are no credentials, passed on as they came.
function extras() {
    const given = new URLSearchParams(window.location.search);
    const wanted = {};
    for (const name of ["device_id", "initial_device_display_name"]) {
        if (given.has(name)) wanted[name] = given.get(name);
    }
    if (given.get("refresh_token") === "true") wanted.refresh_token = true;
    return wanted;
}

function say(text) {
    message.textContent = text;
}

async function begin() {
    const answer = await fetch(LOGIN);
    const known = (await answer.json()).flows || [];
    if (known.some((flow) => flow.type === "m.login.password")) {
        form.hidden = false;
    } else {
        say("This server lets nobody log in with a password.");
    }
}

async function logIn(event) {
    event.preventDefault();
    say("");
    const request = Object.assign(extras(), {
        type: "m.login.password",
        identifier: { type: "m.id.user", user: form.elements.user.value },
        password: form.elements.password.value,
    });
    const answer = await fetch(LOGIN, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(request),
    });
    const response = await answer.json();
    if (!answer.ok) {
        say(response.error || "That did not work.");
        return;
    }
    form.hidden = true;
    say("You are logged in.");
    if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(response);
}

const failed = () => say("The server could not be reached.");
form.addEventListener("submit", (event) => logIn(event).catch(failed));
begin().catch(failed);
