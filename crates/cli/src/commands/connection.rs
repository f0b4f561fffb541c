//! `jobcell connection`: asks a server that runs for its connections, and
//! changes them there. Never opens a store, never prints a password.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::args::{Connection, ConnectionCommand, ConnectionSettings, Format};
use crate::client::{Client, Method};
use crate::exit::{Exit, Failure};
use crate::out::say;

/// More than any password has.
const LONGEST_PASSWORD: u64 = 64 << 10;

pub(super) fn run(options: Connection) -> Result<Exit, Failure> {
    let client = Client::new(&options.server)?;
    let text = options.format == Format::Text;
    let answer = ask(&client, options.command)?;
    if text {
        print(&answer);
    } else {
        say!("{answer:#}");
    }
    // A connection that was tried and does not work is an answer too.
    Ok(if answer["success"] == false {
        Exit::Unavailable
    } else {
        Exit::Success
    })
}

fn ask(client: &Client, command: ConnectionCommand) -> Result<Value, Failure> {
    const ALL: &str = "/api/v2/connections";
    let one = |name: &str| format!("{ALL}/{}", Client::segment(name));
    match command {
        ConnectionCommand::List => client.ask(Method::Get, ALL, None),
        ConnectionCommand::Show { name } => client.ask(Method::Get, &one(&name), None),
        ConnectionCommand::Add { name, settings } => {
            let mut body = body(&settings)?;
            body.insert("name".to_owned(), json!(name));
            client.ask(Method::Post, ALL, Some(&Value::Object(body)))
        }
        ConnectionCommand::Set { name, settings } => {
            let body = body(&settings)?;
            if body.is_empty() {
                return Err(Failure::message(
                    Exit::Usage,
                    "there is nothing to change: give an option such as --host",
                ));
            }
            client.ask(Method::Put, &one(&name), Some(&Value::Object(body)))
        }
        ConnectionCommand::Remove { name } => client.ask(Method::Delete, &one(&name), None),
        ConnectionCommand::Test { name } => {
            client.ask(Method::Post, &format!("{}/test", one(&name)), None)
        }
    }
}

/// What was given, as the API has it.
fn body(settings: &ConnectionSettings) -> Result<Map<String, Value>, Failure> {
    let mut body = Map::new();
    let texts = [
        ("type", &settings.kind),
        ("description", &settings.description),
        ("file", &settings.file),
        ("host", &settings.host),
        ("database", &settings.database),
        ("username", &settings.username),
        ("tls", &settings.tls),
        ("ca_file", &settings.ca_file),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            let text = (!text.is_empty()).then_some(text);
            body.insert(name.to_owned(), json!(text));
        }
    }
    if let Some(types) = &settings.job_types {
        let types: Vec<&str> = types.split(',').map(str::trim).collect();
        let types = (types != [""]).then_some(types);
        body.insert("job_types".to_owned(), json!(types));
    }
    let others = [
        ("enabled", settings.enabled.map(Value::from)),
        ("read_only", settings.read_only.map(Value::from)),
        ("port", settings.port.map(Value::from)),
        ("max_open", settings.max_open.map(Value::from)),
        (
            "connect_timeout_seconds",
            settings.connect_timeout.map(Value::from),
        ),
        (
            "statement_timeout_seconds",
            settings.statement_timeout.map(Value::from),
        ),
        ("idle_time_seconds", settings.idle_time.map(Value::from)),
    ];
    for (name, value) in others {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    }
    if settings.no_password {
        body.insert("password".to_owned(), Value::Null);
    } else if let Some(file) = &settings.password_file {
        body.insert("password".to_owned(), json!(password(file)?));
    }
    Ok(body)
}

/// The first line of a file: an editor, and `echo`, end it.
fn password(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LONGEST_PASSWORD)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .and_then(|open| open.take(LONGEST_PASSWORD).read_to_string(&mut text))
    };
    read.map_err(|error| {
        let doing = format!("the password can't be read from {}", file.display());
        Failure::context(Exit::Usage, error, doing)
    })?;
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    Ok(line.to_owned())
}

fn print(answer: &Value) {
    if let Some(all) = answer["connections"].as_array() {
        for connection in all {
            say!("{}", line(connection));
        }
        return;
    }
    if let Some(message) = answer["message"].as_str() {
        say!("{message}");
    }
    if let Some(connection) = answer["connection"].as_object() {
        for (name, value) in connection.iter().filter(|(_, value)| !value.is_null()) {
            match value {
                Value::String(text) => say!("  {name}: {text}"),
                other => say!("  {name}: {other}"),
            }
        }
    }
    if let Some(seconds) = answer["duration_seconds"].as_f64() {
        let name = answer["name"].as_str().unwrap_or_default();
        match answer["error"].as_str() {
            None => say!("`{name}` answers ({:.1} ms)", seconds * 1000.0),
            Some(error) => say!("`{name}` FAILS: {error}"),
        }
    }
}

/// One connection in a list: `erp  sqlserver  sa@db.example:1433/erp  stored`.
fn line(connection: &Value) -> String {
    let text = |name: &str| connection[name].as_str().unwrap_or_default().to_owned();
    let place = if connection["file"].is_string() {
        text("file")
    } else {
        let port = connection["port"].as_u64();
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let database = text("database");
        let slash = if database.is_empty() { "" } else { "/" };
        format!(
            "{}@{}{port}{slash}{database}",
            text("username"),
            text("host")
        )
    };
    let mut line = format!(
        "{}  {}  {place}  {}",
        text("name"),
        text("type"),
        text("source")
    );
    if connection["read_only"] == true {
        line.push_str("  read-only");
    }
    if connection["enabled"] == false {
        line.push_str("  DISABLED");
    }
    if let Some(problem) = connection["problem"].as_str() {
        line.push_str(&format!("  FAILS: {problem}"));
    }
    line
}
