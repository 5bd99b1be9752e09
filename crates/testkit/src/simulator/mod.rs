//! Whole servers in one process, on a network that loses, delays, repeats and reorders, and that
//! tears apart; and servers that crash in the middle of anything and start again over what they had
//! committed. A seed decides everything. When the storm is over, every server must see the same room.
//!
//! Everything runs on one thread, and time jumps whenever nothing is left to do at a moment: hours of
//! the simulation cost nothing but what is done in them.

mod clock;
mod deeds;
mod server;
mod skies;
mod spawner;
mod verdict;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vestibule_types::Clock;

use self::{
    clock::SimClock,
    deeds::{Deed, SimRoom, below, everybody_may_take_part},
    server::{SimPerson, SimServer},
    skies::Skies,
};
pub use self::{deeds::Temper, skies::Weather};
use crate::SeededRandom;

/// Requests of clients that are under way at one time.
const AT_ONCE_MAX: usize = 6;
/// How often the servers may talk after the storm before they must agree.
const ROUNDS_MAX: usize = 8;
/// How long they have for each of these talks.
const ROUND: Duration = Duration::from_mins(10);
/// How long a client waits for its answer at most.
const ANSWER_MAX: Duration = Duration::from_mins(30);
/// How long a server stays down, and how long the network stays torn, at most.
const TROUBLE_MS_MAX: u64 = 60_000;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many servers there are.
    pub servers: usize,
    /// How many people are on each.
    pub people_each: usize,
    /// The room versions; one room of each.
    pub versions: &'static [&'static str],
    /// Versions of more rooms, into which only those come who are in the first one.
    pub restricted: &'static [&'static str],
    /// What people do altogether.
    pub deeds: usize,
    /// And what they are like.
    pub temper: Temper,
    /// The weather meanwhile.
    pub weather: Weather,
    /// Whether servers crash and the network is torn.
    pub disasters: bool,
}

/// How a simulation ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A number for everything that happened, in order. The same seed gives the same.
    pub trace: u64,
    /// The last things that happened.
    pub last: Vec<String>,
    /// What the servers do not agree about, and what should never have happened.
    pub problems: Vec<String>,
    /// Deeds that were done, and those that were refused or failed.
    pub deeds: (usize, usize),
    /// Rooms in which people of more than one server are at the end.
    pub shared_rooms: usize,
}

/// Plays one seed from beginning to end, on a runtime of its own.
#[must_use]
pub fn simulate(seed: u64, plan: Plan) -> Outcome {
    let clock = SimClock::default();
    let strayed = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park({
            let clock = clock.clone();
            move || clock.jump()
        })
        .on_thread_start({
            let strayed = strayed.clone();
            move || strayed.store(true, Ordering::Relaxed)
        })
        .build()
        .expect("a runtime");
    let mut outcome = runtime.block_on(play(seed, plan, clock));
    if strayed.load(Ordering::Relaxed) {
        // Time goes on while it is waited for, as far as this machine is slow.
        outcome.problems.push("something was done on another thread".to_owned());
    }
    outcome
}

async fn play(seed: u64, plan: Plan, clock: SimClock) -> Outcome {
    let mut world = World::new(seed, plan, clock).await;
    world.prepare().await;
    world.skies.set_weather(plan.weather);
    world.storm().await;
    world.heal().await;
    let mut problems = world.settle().await;
    problems.extend(world.skies.faults());
    let (trace, last) = world.skies.trace();
    let shared_rooms = world.shared_rooms().await;
    Outcome { trace, last, problems, deeds: world.counts, shared_rooms }
}

/// What a room is made with. With another one, who is in there may come in.
fn body_of_room(version: &str, neighbour: Option<&SimRoom>) -> Value {
    let mut body = json!({ "preset": "public_chat", "room_version": version });
    if let Some(neighbour) = neighbour {
        let allow = json!([{ "type": "m.room_membership", "room_id": neighbour.room_id }]);
        let content = json!({ "join_rule": "restricted", "allow": allow });
        body["initial_state"] =
            json!([{ "type": "m.room.join_rules", "state_key": "", "content": content }]);
    }
    body
}

type Done = (usize, Option<String>, bool);

struct World {
    plan: Plan,
    random: SeededRandom,
    skies: Arc<Skies>,
    servers: Vec<SimServer>,
    names: Vec<String>,
    people: Vec<SimPerson>,
    rooms: Vec<SimRoom>,
    under_way: JoinSet<Done>,
    number: usize,
    counts: (usize, usize),
}

impl World {
    async fn new(seed: u64, plan: Plan, clock: SimClock) -> Self {
        let random = SeededRandom::new(seed);
        let skies = Arc::new(Skies::new(random.next(), clock.clone()));
        let (mut servers, mut people) = (Vec::new(), Vec::new());
        for number in 0..plan.servers {
            let seeded = (number, random.next());
            servers.push(SimServer::start(seeded, clock.clone(), skies.clone()).await);
        }
        for number in 0..plan.servers * plan.people_each {
            let server = number % plan.servers;
            people.push(servers[server].register(server, &format!("p{number}")).await);
        }
        Self {
            plan,
            random,
            skies,
            names: servers.iter().map(|server| server.name.to_string()).collect(),
            servers,
            people,
            rooms: Vec::new(),
            under_way: JoinSet::new(),
            number: 0,
            counts: (0, 0),
        }
    }

    /// Rooms, and about half of the people in each.
    async fn prepare(&mut self) {
        let (open, restricted) = (self.plan.versions, self.plan.restricted);
        for (number, version) in open.iter().chain(restricted).enumerate() {
            if number == open.len() {
                self.finish_deeds().await;
            }
            let maker = number % self.people.len();
            let person = &self.people[maker];
            let life = self.servers[person.server].life().expect("nothing crashed yet");
            let first = self.rooms.first().filter(|_| number >= open.len());
            let body = body_of_room(version, first);
            let path = "/_matrix/client/v3/createRoom";
            let made = life.ask(Some(person), Method::POST, path, &body).await;
            let made = made.expect("nothing crashed yet").ok();
            let room_id = made["room_id"].as_str().expect("a room id").to_owned();
            let neighbour = self.rooms.first().map_or(&room_id, |first| &first.room_id).clone();
            self.rooms.push(SimRoom { room_id, maker, events: Vec::new(), neighbour });
            let via = vec![self.names[person.server].clone()];
            for other in (0..self.people.len()).filter(|it| *it != maker) {
                if other < self.plan.servers || self.random.below(2) == 0 {
                    self.act(number, other, Deed::Join { via: via.clone() });
                }
            }
        }
        self.finish_deeds().await;
    }

    async fn storm(&mut self) {
        for _ in 0..self.plan.deeds {
            let (room, person) =
                (below(&self.random, self.rooms.len()), below(&self.random, self.people.len()));
            let around = (&*self.people, &*self.names);
            let place = (&self.rooms[room], person);
            let deed = Deed::draw(&self.random, self.plan.temper, around, place, self.number);
            match deed {
                Deed::Duel { whom } => self.duel(room, person, whom),
                deed => self.act(room, person, deed),
            }
            if self.plan.disasters {
                self.strike().await;
            }
            self.pause(Duration::from_millis(self.random.below(1_500))).await;
            while self.under_way.len() >= AT_ONCE_MAX {
                self.finish_one().await;
            }
        }
        self.finish_deeds().await;
    }

    /// Somebody takes another's power while that one throws them out.
    fn duel(&mut self, room: usize, one: usize, other: usize) {
        // Whoever made the room stays in it, and nobody else throws them out.
        let other = if one == other { self.rooms[room].maker } else { other };
        if one == other {
            return;
        }
        let (first, second) = (&self.people[one], &self.people[other]);
        let (first, second) = (first.user_id.clone(), second.user_id.clone());
        self.act(room, one, Deed::Power { whom: second, level: 0 });
        self.act(room, other, Deed::Member { act: "kick", whom: first });
    }

    /// Now and then something breaks, and now and then something is repaired.
    async fn strike(&mut self) {
        let (one, other) =
            (below(&self.random, self.names.len()), below(&self.random, self.names.len()));
        match self.random.below(60) {
            0 => self.servers[one].crash(),
            1 | 2 if one != other => {
                self.skies
                    .note(&format!("{} and {} are apart", self.names[one], self.names[other]));
                self.skies.part(&self.servers[one].name, &self.servers[other].name);
            }
            3 => self.skies.reunite(),
            4..=8 => self.servers[one].rise().await,
            9 => {
                let pause = self.random.below(TROUBLE_MS_MAX);
                self.pause(Duration::from_millis(pause)).await;
            }
            _ => {}
        }
    }

    /// Begins a deed; its end is noted when it comes.
    fn act(&mut self, room: usize, person: usize, deed: Deed) {
        self.number += 1;
        let (number, person) = (self.number, self.people[person].clone());
        let what = format!("{} {} in room {room}", person.user_id, deed.name());
        let Some(life) = self.servers[person.server].life() else { return };
        let (skies, room_id) = (self.skies.clone(), self.rooms[room].room_id.clone());
        self.under_way.spawn(async move {
            let done = deed.run(&life, (&person, number), &room_id).await;
            let Some((status, event, body)) = done else {
                skies.note(&format!("{what}: crashed"));
                return (room, None, false);
            };
            skies.note(&format!("{what}: {status} {body}"));
            if status == 500 {
                skies.fault(format!("{what}: {status} {body}"));
            }
            (room, event, status == 200)
        });
    }

    async fn pause(&self, duration: Duration) {
        self.skies.clock.sleep(duration).await;
    }

    async fn finish_one(&mut self) {
        let late = self.skies.clock.sleep(ANSWER_MAX);
        let done = tokio::select! {
            biased;
            done = self.under_way.join_next() => done,
            () = late => {
                self.skies.fault("a request of a client is never answered".to_owned());
                self.under_way.abort_all();
                return;
            }
        };
        let Some(done) = done else { return };
        let Ok((room, event, well)) = done else { return };
        self.rooms[room].events.extend(event);
        if well { self.counts.0 += 1 } else { self.counts.1 += 1 }
    }

    async fn finish_deeds(&mut self) {
        while !self.under_way.is_empty() {
            self.finish_one().await;
        }
    }

    async fn heal(&mut self) {
        self.skies.note("the storm is over");
        self.skies.set_weather(Weather::CALM);
        self.skies.reunite();
        for server in &mut self.servers {
            if !server.is_up() {
                server.rise().await;
            }
        }
        self.pause(ROUND).await;
        if self.plan.temper == Temper::Meddlesome {
            self.open_doors().await;
        }
    }

    /// Whoever made a room lets all servers take part in it again: one that may not hears nothing, and
    /// cannot agree.
    async fn open_doors(&mut self) {
        for room in 0..self.rooms.len() {
            self.act(room, self.rooms[room].maker, everybody_may_take_part());
        }
        self.finish_deeds().await;
        self.pause(ROUND).await;
    }

    /// Everybody who is in a room says so, until all agree about it.
    async fn settle(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        for round in 0..ROUNDS_MAX {
            for room in 0..self.rooms.len() {
                for person in 0..self.people.len() {
                    self.act(room, person, Deed::Send(format!("round {round}")));
                    self.finish_deeds().await;
                }
            }
            self.pause(ROUND).await;
            problems.clear();
            for room in &self.rooms {
                let room = (room.room_id.as_str(), self.plan.temper);
                problems.extend(verdict::differences(&self.servers, &self.people, room).await);
            }
            if problems.is_empty() {
                break;
            }
        }
        problems
    }

    async fn shared_rooms(&self) -> usize {
        let mut shared = 0;
        for room in &self.rooms {
            let mut servers = BTreeSet::new();
            for person in &self.people {
                let server = &self.servers[person.server];
                if verdict::look(server, person, &room.room_id).await.is_some() {
                    servers.insert(person.server);
                }
            }
            shared += usize::from(servers.len() > 1);
        }
        shared
    }
}
