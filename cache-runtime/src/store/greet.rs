//! The first words on a connection: what time it is for the server, what it is, whether its data can be believed, and whether
//! it tells of changes.

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline, Value};

use super::ask::{trouble, turned_away};
use super::connect::Connector;
use super::lineage::{Told, run_id};
use super::{Class, Refusal, Trouble};
use crate::clock;

impl Connector {
    /// Asks for the server's time and what it is, makes sure that its data can be believed, and asks to be told of changes;
    /// answers why the last was refused. A server that refuses to tell the others is a server all the same.
    pub(super) async fn greet(
        &self,
        connection: &mut MultiplexedConnection,
        track: bool,
    ) -> Result<Option<Trouble>, Trouble> {
        let mut questions = Pipeline::new();
        questions
            .cmd("TIME")
            .cmd("INFO")
            .arg("server")
            .ignore_errors();
        // Before the tracking: nobody wants to be told of it.
        match self.lineage.marker() {
            Some(marker) => questions.cmd("GET").arg(marker),
            None => questions.cmd("PING"),
        };
        if track {
            questions
                .cmd("CLIENT")
                .arg("TRACKING")
                .arg("ON")
                // Of reads it is not told not to.
                .arg("OPTOUT")
                .arg("NOLOOP");
        }
        let answers: Vec<Value> = questions
            .query_async(connection)
            .await
            .map_err(|error| turned_away(&error))?;
        let mut answers = answers.into_iter().map(Value::extract_error);
        let time = match answers.next().transpose() {
            Ok(time) => time.and_then(readable),
            // A server that is not to be asked anything says so at once.
            Err(refusal) => {
                let trouble = trouble(&refusal);
                if !trouble.is_of_one_command() {
                    return Err(trouble);
                }
                None
            }
        };
        self.clock.set(clock::now(), time);
        let info = match answers.next() {
            Some(Ok(info)) => Ok(readable::<String>(info).unwrap_or_default()),
            Some(Err(refusal)) => Err(trouble(&refusal).to_string()),
            None => Ok(String::new()),
        };
        self.learn(info.as_deref().ok().and_then(version));
        let told = Told {
            run_id: info.and_then(|info| run_id(&info)),
            marker: answers.next().and_then(Result::ok).and_then(readable),
        };
        self.lineage.check(connection, told).await?;
        Ok(match answers.next() {
            Some(Ok(Value::Okay)) | None => None,
            Some(Ok(_)) => Some(Trouble::Refused(Refusal::of(Class::NotRedis))),
            Some(Err(refusal)) => Some(trouble(&refusal)),
        })
    }
}

fn readable<T: FromRedisValue>(answer: Value) -> Option<T> {
    redis::from_redis_value(answer).ok()
}

fn version(info: &str) -> Option<String> {
    let line = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|version| version.trim().to_owned())
    };
    line("valkey_version:").or_else(|| line("redis_version:"))
}
