//! `vestibule policy simulate`: the recorded decisions come from the running server, the policy from a file that
//! it never sees, and both meet here. So nothing is changed by it.

use std::{path::Path, process::ExitCode};

use anyhow::bail;
use vestibule_policy::{Flip, Recording, Simulation};

use super::{
    ask::{Question, ask},
    output::{complain, say, table},
};

pub(super) fn run(
    file: &Path,
    new: &Path,
    (examples, json): (usize, bool),
) -> anyhow::Result<ExitCode> {
    let tried = vestibule_config::load(new)?;
    for warning in &tried.warnings {
        complain(&format!("warning: {warning}"));
    }
    let running = vestibule_config::load(file)?;
    let (ours, theirs) = (running.config.server_name(), tried.config.server_name());
    if ours != theirs {
        bail!("server.name = {theirs}: this server is {ours}");
    }
    let recording: Recording = ask(file, Question::get("/policy/recorded"))?;
    let policy = tried.policy.with_guests_off(recording.guests_off);
    let simulation = policy.simulate(&recording, examples);
    if json {
        say(&serde_json::to_string_pretty(&simulation)?);
    } else {
        say(&told(&simulation, &recording));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(simulation: &Simulation, recording: &Recording) -> String {
    if simulation.tried == 0 {
        return "nothing is recorded: decisions are kept in the memory of a running server"
            .to_owned();
    }
    let Simulation { tried, flips, untold, outcomes, examples, unpinned } = simulation;
    let mut lines = vec![format!(
        "{tried} decisions recorded, policy epoch {}: {flips} would flip",
        recording.epoch
    )];
    if *untold > 0 {
        lines.push(format!(
            "{untold} cannot be told: the new policy looks at what was not looked up for them"
        ));
    }
    for alias in unpinned {
        lines.push(format!("{alias} is listed, and no room is known for it yet: it was left out"));
    }
    let head = ["class", "action", "now", "then", "count", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(outcomes.iter().map(|it| {
        let (tried, mark) = (&it.tried, if it.tried.flips { "flips" } else { "" });
        let answers = [tried.now.clone(), tried.then.clone()];
        let [now, then] = answers;
        let action = tried.action.to_owned();
        vec![tried.class.clone(), action, now, then, it.count.to_string(), mark.to_owned()]
    }));
    lines.push(table(&rows));
    lines.extend(examples.iter().map(example));
    lines.join("\n")
}

fn example(flip: &Flip) -> String {
    let Flip { at_ms, user_id, class, action, object, now, then, what_would_allow } = flip;
    let remedy = what_would_allow.as_ref();
    let remedy = remedy.map(|it| format!("\n  would be allowed by: {it}")).unwrap_or_default();
    format!("{at_ms} {user_id} (class {class}) {action} {object}: {now} -> {then}{remedy}")
}
