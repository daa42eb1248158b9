//! The first words on a connection: what time it is for the server, what it is, whether its data can be believed, and whether
//! it tells of changes.

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline, Value};

use super::Trouble;
use super::connect::{Connector, describe};
use super::lineage::{Told, run_id};
use crate::clock;

impl Connector {
    /// Asks for the server's time and what it is, makes sure that its data can be believed, and asks to be told of changes;
    /// answers why the last was refused. A server that refuses to tell the others is a server all the same.
    pub(super) async fn greet(
        &self,
        connection: &mut MultiplexedConnection,
        track: bool,
    ) -> Result<Option<String>, Trouble> {
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
                .arg("NOLOOP");
        }
        let answers: Vec<Value> = questions
            .query_async(connection)
            .await
            .map_err(|error| Trouble::Unreachable(describe(&error)))?;
        let mut answers = answers.into_iter();
        let time = answers.next().unwrap_or(Value::Nil);
        if let Value::ServerError(error) = &time
            && error.code() == "NOAUTH"
        {
            // It lets nobody in without a password, which is as good as refusing the connection.
            return Err(Trouble::Unreachable(format!("{error}")));
        }
        let time = readable(time);
        self.clock.set(clock::now(), time);
        let info = answers.next().unwrap_or(Value::Nil);
        let info = redis::from_redis_value::<String>(info).map_err(|error| error.to_string());
        self.set_version(info.as_deref().ok().and_then(version));
        let told = Told {
            run_id: info.and_then(|info| run_id(&info)),
            marker: answers.next().and_then(readable),
        };
        self.lineage.check(connection, told).await?;
        Ok(match answers.next() {
            Some(Value::Okay) | None => None,
            Some(refusal) => Some(match redis::from_redis_value::<String>(refusal) {
                Ok(other) => other,
                Err(error) => error.to_string(),
            }),
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
