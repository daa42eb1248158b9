//! A second process: the test program itself, started again to run one of its tests, which then plays the other's part.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

const ROLE: &str = "CACHE_TEST_ROLE";
const SERVER: &str = "CACHE_TEST_SERVER";

/// What a second process is told.
pub struct Part {
    pub role: String,
    pub server: String,
}

/// In the second process: the part to play. `None` where the test runs as a test.
pub fn part() -> Option<Part> {
    Some(Part {
        role: env::var(ROLE).ok()?,
        server: env::var(SERVER).ok()?,
    })
}

/// In the second process: says that a point was reached, and waits until the first one lets it go on.
pub fn pause_here() {
    println!("\npaused");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// A second process at work. Dropped, it is killed.
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    /// Runs the test of that name as a second process with this part.
    pub fn start(test: &str, role: &str, server: &str) -> Self {
        Self::start_with(test, role, server, &[])
    }

    /// The same with environment variables of its own.
    pub fn start_with(test: &str, role: &str, server: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(SERVER, server)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    /// Waits until it has paused.
    pub fn paused(&mut self) {
        let mut line = String::new();
        while line.trim() != "paused" {
            line.clear();
            let read = self.output.read_line(&mut line).unwrap();
            assert!(read > 0, "the second process ended before it paused");
        }
    }

    /// Stops it where it is, or lets it go on.
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", r#"kill -s "$1" "$2""#, "sh", name])
            .arg(self.child.id().to_string())
            .status();
        // It may have ended by itself.
        let _ = status;
    }

    /// Waits for its end, and tells whether that was good and what it printed.
    pub fn output(mut self) -> (bool, String) {
        let mut rest = String::new();
        while self.output.read_line(&mut rest).unwrap() > 0 {}
        (self.child.wait().unwrap().success(), rest)
    }

    /// Lets it go on, without waiting for its end.
    pub fn go_on(&mut self) {
        // It may not be waiting at all.
        let _ = writeln!(self.input, "go on");
    }

    /// Lets it go on, and waits for its good end.
    pub fn finish(mut self) {
        self.go_on();
        let mut rest = String::new();
        while self.output.read_line(&mut rest).unwrap() > 0 {}
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the second process failed: {rest}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
