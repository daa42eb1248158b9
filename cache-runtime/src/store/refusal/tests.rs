use super::*;

fn check(code: &str, text: &str, class: Class) {
    assert_eq!(Refusal::said(code, text).class, class, "{code} {text}");
}

#[test]
fn what_servers_say_has_its_class() {
    let script = "script: 1d9b, on @user_script:1.";
    check(
        "READONLY",
        "You can't write against a read only replica.",
        Class::ReadOnly,
    );
    check(
        "OOM",
        &format!("command not allowed {script}"),
        Class::OutOfMemory,
    );
    check(
        "MISCONF",
        "Redis is configured to save RDB snapshots",
        Class::Misconfigured,
    );
    check(
        "NOREPLICAS",
        "Not enough good replicas to write.",
        Class::NoReplicas,
    );
    check("WRONGTYPE", "Operation against a key", Class::WrongType);
    check("NOAUTH", "Authentication required.", Class::NoAuth);
    check(
        "WRONGPASS",
        "invalid username-password pair",
        Class::WrongPassword,
    );
    check(
        "LOADING",
        "Redis is loading the dataset in memory",
        Class::Loading,
    );
    check("MASTERDOWN", "Link with MASTER is down", Class::MasterDown);
    check("BUSY", "Redis is busy running a script.", Class::Busy);
    check(
        "DENIED",
        "Redis is running in protected mode",
        Class::Protected,
    );
    for code in ["MOVED", "ASK", "TRYAGAIN", "CROSSSLOT", "CLUSTERDOWN"] {
        check(code, "866 127.0.0.1:7001", Class::Cluster);
    }
    check(
        "ERR",
        "SELECT is not allowed in cluster mode",
        Class::Cluster,
    );
    check("ERR", "max number of clients reached", Class::MaxClients);
    check(
        "ERR",
        "max number of clients + cluster connections reached",
        Class::MaxClients,
    );
    check("ERR", "DB index is out of range", Class::NoDatabase);
    check(
        "ERR",
        "unknown command 'EVALSHA', with args beginning with: ",
        Class::UnknownCommand,
    );
}

#[test]
fn what_a_user_may_not_do_is_a_command_or_a_key() {
    // By Redis 6, 7.0 and 7.2.
    for text in [
        "this user has no permissions to run the 'mget' command or its subcommand",
        "this user has no permissions to run the 'mget' command",
        "User ann has no permissions to run the 'client|tracking' command",
    ] {
        check("NOPERM", text, Class::ForbiddenCommand);
    }
    for text in [
        "this user has no permissions to access one of the keys used as arguments",
        "No permissions to access a key",
        "User ann has no permissions to access the 'video:7' key",
    ] {
        check("NOPERM", text, Class::ForbiddenKey);
    }
    check(
        "ERR",
        "The user executing the script can't run this command or subcommand script: b65",
        Class::ForbiddenCommand,
    );
    check(
        "ERR",
        "ACL failure in script: User ann has no permissions to access the 'video:7' key",
        Class::ForbiddenKey,
    );
}

#[test]
fn before_version_7_the_error_of_a_scripts_command_stands_within_the_text() {
    let said = |what: &str| format!("Error running script (call to f_9a): @user_script:2: -{what}");
    check("ERR", &said("READONLY You can't write"), Class::ReadOnly);
    check("ERR", &said("OOM command not allowed"), Class::OutOfMemory);
    check(
        "ERR",
        &said("WRONGTYPE Operation against"),
        Class::WrongType,
    );
    check("ERR", &said("something new"), Class::Other);
}

#[test]
fn nothing_that_was_sent_is_told_of_an_unknown_error() {
    let told = |code: &str, text: &str| Refusal::said(code, text).to_string();

    let strange = told("STRANGE", "no such thing as 'hunter2', nor \"hunter2\"");
    assert!(
        strange.starts_with("STRANGE no such thing as: "),
        "{strange}"
    );
    for text in [
        "`hunter2`",
        ": hunter2",
        "<hunter2>",
        "\u{1b}[1mhunter2",
        "\nhunter2",
    ] {
        let told = told("ERR", &format!("what is {text}"));
        assert!(told.starts_with("ERR what is: "), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    assert!(!told("hunter2", "").contains("hunter2"));
    assert!(told("ERR", &"long ".repeat(1_000)).len() < 200);
}

#[test]
fn an_unknown_error_does_not_stop_anything() {
    assert_eq!(Class::Other.scope(), Scope::Key);
}
