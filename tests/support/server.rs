//! Real Redis servers of a test's own, which can be paused, killed and brought back.
//!
//! None outlives its test, whichever way the test ends.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::resp::{Connection, Reply};
use super::{DEADLINE, POLL, wait_until};

/// Ports to choose from: below the range from which Linux takes the local ends of connections.
///
/// A client that retries a dead port *inside* that range can end up connected to itself, and then
/// holds the port when the server wants it back.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How often a port that turns out to be taken is replaced by another.
const ATTEMPTS: usize = 10;

/// A server on a loopback port and with a directory of its own; killed and removed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    options: Vec<String>,
    process: Mutex<Option<Child>>,
    directory: Directory,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further options, for example `["--requirepass", "secret"]`.
    pub fn start_with(options: &[&str]) -> Self {
        let mut server = Self {
            port: free_port(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            process: Mutex::new(None),
            directory: Directory::new(),
        };
        for _ in 0..ATTEMPTS {
            if server.launch() {
                return server;
            }
            // Somebody else was quicker to take it.
            server.port = free_port();
        }
        panic!("no server came up; its log:\n{}", server.directory.log());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients find it, password included.
    pub fn url(&self) -> String {
        let login = self.password().map(|password| format!(":{password}@"));
        let login = login.unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}/0", self.port)
    }

    /// Stops the process where it is: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Ends the process at once, as a crash would; what was stored is lost.
    pub fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            // SIGKILL, which a stopped process cannot put off either.
            process.kill().expect("the server is ours to kill");
            process.wait().expect("the server is our child");
        }
    }

    /// Kills it if it runs, and starts another on the same port: an empty one, or with what a `SAVE` has written.
    pub fn restart(&self) {
        self.restart_with(&[]);
    }

    /// The same with further options.
    pub fn restart_with(&self, options: &[&str]) {
        self.kill();
        let start = Instant::now();
        while !self.launch_with(options) {
            assert!(
                start.elapsed() < DEADLINE,
                "port {} cannot be had again; the server's log:\n{}",
                self.port,
                self.directory.log()
            );
            std::thread::sleep(POLL);
        }
    }

    /// Runs a command and returns what `redis-cli` would print; an error of the server is such text too.
    #[track_caller]
    pub fn cli(&self, words: &[&str]) -> String {
        self.command(words).to_string()
    }

    /// Runs a command whose words may be any bytes.
    #[track_caller]
    pub fn command<A: AsRef<[u8]>>(&self, words: &[A]) -> Reply {
        let answer = self
            .connect(DEADLINE)
            .and_then(|mut connection| connection.command(words));
        match answer {
            Ok(reply) => reply,
            Err(error) => panic!("port {} does not answer: {error}", self.port),
        }
    }

    /// A connection of the test's own, past the password.
    pub fn connect(&self, patience: Duration) -> io::Result<Connection> {
        let mut connection = Connection::open(self.port, patience)?;
        if let Some(password) = self.password() {
            connection.command(&["AUTH", password])?;
        }
        Ok(connection)
    }

    /// The keys that match a glob, sorted.
    #[track_caller]
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys = self.command(&["KEYS", pattern]).list();
        keys.sort();
        keys
    }

    fn password(&self) -> Option<&str> {
        let mut options = self.options.iter();
        options.find(|option| *option == "--requirepass")?;
        options.next().map(String::as_str)
    }

    /// Whether a process started now holds our port and answers.
    fn launch(&self) -> bool {
        self.launch_with(&[])
    }

    fn launch_with(&self, options: &[&str]) -> bool {
        let output = self.directory.open_log();
        let mut command = under_death_signal(binary());
        command
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--daemonize", "no"])
            .args(["--save", "", "--appendonly", "no"])
            .args(&self.options)
            .args(options)
            .current_dir(&self.directory.path)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file can be shared"))
            .stderr(output);
        let mut process = spawn(command).unwrap_or_else(|error| {
            panic!("{} cannot be started: {error}", binary().display());
        });

        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if matches!(process.try_wait(), Ok(Some(_))) {
                return false;
            }
            if self.answers_as(process.id()) {
                *self.process() = Some(process);
                return true;
            }
            std::thread::sleep(POLL);
        }
        let _ = process.kill();
        let _ = process.wait();
        false
    }

    /// Whether what answers on our port is that very process, and not somebody else's server.
    fn answers_as(&self, process: u32) -> bool {
        let answer = self.connect(Duration::from_secs(1)).and_then(|mut server| {
            server.command(&["PING"])?;
            server.command(&["INFO", "server"])
        });
        let identity = format!("process_id:{process}\r\n");
        matches!(answer, Ok(Reply::Bytes(info)) if String::from_utf8_lossy(&info).contains(&identity))
    }

    #[track_caller]
    fn signal(&self, name: &str) {
        let process = self.process();
        let process = process.as_ref().expect("the server was killed");
        // The shell's own `kill`: the program of that name is not on every machine.
        let status = Command::new("sh")
            .args(["-c", r#"kill -s "$1" "$2""#, "sh", name])
            .arg(process.id().to_string())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "SIG{name} did not reach the server"
        );
        if name == "STOP" {
            let id = process.id();
            wait_until(|| state_of(id).is_none_or(|state| state == 'T'), "paused");
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        // A directory that cannot be removed must not turn one failure into an abort.
        let _ = fs::remove_dir_all(&self.directory.path);
    }
}

/// Where a server works and writes its log.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("cache-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self { path }
    }

    fn open_log(&self) -> File {
        let mut options = File::options();
        options.create(true).append(true);
        let file = options.open(self.path.join("log"));
        file.expect("the temporary directory is writable")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path.join("log")).unwrap_or_default()
    }
}

/// A port that nothing listens on at this moment; the next moment is the caller's risk.
fn free_port() -> u16 {
    let address = free_listener().local_addr();
    address.expect("it is bound").port()
}

/// A listener on a port of [`PORTS`], chosen at random since other test processes choose too.
pub(super) fn free_listener() -> TcpListener {
    let width = u64::from(PORTS.end - PORTS.start);
    let mut ports = std::iter::repeat_with(|| {
        let offset = RandomState::new().hash_one(()) % width;
        PORTS.start + u16::try_from(offset).unwrap_or_default()
    });
    ports
        .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .expect("the iterator has no end")
}

/// The server program of this machine.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let named = std::env::var_os("REDIS_SERVER_BIN").map(PathBuf::from);
        // Absolute, since the server starts in a directory of its own; a bare name is left to PATH.
        // Links are kept: the Debian program decides by its name what it is.
        let named = named.map(|program| match program.components().count() {
            1 => program,
            _ => std::path::absolute(&program).unwrap_or(program),
        });
        if let Some(named) = named {
            // Not another one in its stead: a test on a certain server must not pass on any other.
            assert!(
                runs(&named),
                "REDIS_SERVER_BIN={} does not run",
                named.display()
            );
            return named;
        }
        let known = ["redis-server", "valkey-server"].map(PathBuf::from);
        known.into_iter().find(|candidate| runs(candidate)).expect(
            "no redis-server on PATH, nor named by REDIS_SERVER_BIN; \
             run ./test, which finds or installs one",
        )
    })
}

fn runs(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.arg("--version");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command that the kernel kills when the thread that spawned it is gone, where the machine can
/// do that (util-linux, so on every Debian); elsewhere `Drop` alone cleans up.
fn under_death_signal(program: &Path) -> Command {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    if !AVAILABLE.get_or_init(|| runs(Path::new("setpriv"))) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// Spawns from one thread that lives as long as this process.
///
/// The death signal follows the spawning *thread*, and a test's thread may end before its server.
fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in queue {
                let _ = answer.send(command.spawn());
            }
        });
        jobs
    });
    let (answer, child) = mpsc::channel();
    let sent = spawner.send((command, answer));
    sent.ok()
        .and_then(|()| child.recv().ok())
        .expect("the spawner never ends")
}

/// The kernel's letter for what a process is doing; `None` where there is no `/proc`.
fn state_of(process: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.chars().next()
}
