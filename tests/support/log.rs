//! What the code under test logs, as text to make assertions about.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Level, Metadata, Subscriber};

/// One log event.
#[derive(Clone, Debug)]
pub struct Event {
    pub level: Level,
    /// The module it comes from.
    pub target: String,
    /// The message, then every field as ` name=value`.
    pub text: String,
}

/// A subscriber that keeps every event; a clone is a handle to the same list.
#[derive(Clone, Debug, Default)]
pub struct Log {
    events: Arc<Mutex<Vec<Event>>>,
}

impl Log {
    /// Captures what this thread logs while the guard lives: with a current-thread runtime, the test's own events.
    #[must_use = "events are captured only while the guard lives"]
    pub fn of_this_thread() -> (Self, DefaultGuard) {
        Everywhere::listen();
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// Captures what every thread of this process logs, from the first call on: other tests' events too.
    pub fn of_this_process() -> Self {
        Everywhere::listen();
        PROCESS.get_or_init(Self::default).clone()
    }

    pub fn events(&self) -> Vec<Event> {
        self.list().clone()
    }

    /// The texts of the events of one level.
    pub fn at(&self, level: Level) -> Vec<String> {
        let events = self.list();
        let chosen = events.iter().filter(|event| event.level == level);
        chosen.map(|event| event.text.clone()).collect()
    }

    /// Whether any event, of any level, contains `text`: a password must not.
    pub fn mentions(&self, text: &str) -> bool {
        self.list().iter().any(|event| event.text.contains(text))
    }

    pub fn clear(&self) {
        self.list().clear();
    }

    /// The text of the only event of that level that contains `text`; panics when it is not exactly one.
    #[track_caller]
    pub fn only(&self, level: Level, text: &str) -> String {
        let mut matching = self.at(level);
        matching.retain(|event| event.contains(text));
        match matching.as_slice() {
            [one] => one.clone(),
            _ => panic!(
                "expected one {level} with {text:?}, found {matching:?} in {:#?}",
                self.events()
            ),
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.list().push(Event {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            text: text.message + &text.fields,
        });
    }

    // Spans are of no interest; they all share one id, which must not be zero.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What the whole process logs, once somebody asks for it.
static PROCESS: OnceLock<Log> = OnceLock::new();

/// Listens on every thread and passes on to [`PROCESS`]. Without it, a line that is reached first on a thread where nobody
/// listens may be switched off for good, also for a test that begins to listen at that moment.
struct Everywhere;

impl Everywhere {
    fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing::subscriber::set_global_default(Self)
                .expect("nothing else in the tests subscribes globally");
        });
    }
}

impl Subscriber for Everywhere {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        PROCESS.get().is_some()
    }

    fn event(&self, event: &tracing::Event<'_>) {
        if let Some(log) = PROCESS.get() {
            log.event(event);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    // Without the quotes and escapes of `Debug`, so that tests compare what a reader of the log sees.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
