//! The command line.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_tool_runtime::store::{Cursor, Filter, Owner, Status, Timestamp};
use async_tool_runtime::{Principal, TaskId};
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

/// Looks at the tasks of an async-tool store, and acts on them.
#[derive(Debug, Parser)]
#[command(
    name = "async-tool",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 if all went well, 1 if something is wrong or was not found, 2 if \
                  the command line cannot be meant."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Of all commands")]
pub(crate) struct Common {
    /// Where the tasks are: sqlite:PATH, postgres://… or redis://…
    ///
    /// Others on this machine may see command lines; where there is a password in
    /// it, use the variable.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ASYNC_TOOL_STORE",
        hide_env_values = true
    )]
    pub(crate) store: Option<String>,
    /// Whose tasks: the namespace of their servers; `default` unless said otherwise.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "ASYNC_TOOL_NAMESPACE",
        hide_env_values = true
    )]
    pub(crate) namespace: Option<String>,
    /// Write JSON: one document, and for `watch` one for each change.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List tasks, the newest first.
    List(ListArgs),
    /// Show all about one task.
    Show(ShowArgs),
    /// Follow tasks until Ctrl-C.
    Watch(WatchArgs),
    /// Ask tasks to stop.
    Cancel(CancelArgs),
    /// Delete ended tasks before their time.
    Purge(PurgeArgs),
    /// Tell how much is queued, running and kept.
    Stats,
    /// List the namespaces that have tasks.
    Namespaces,
    /// Look for what is wrong, and say what to do.
    Doctor(DoctorArgs),
    /// Bring a store of an older version to this one's form.
    Upgrade,
}

/// Which tasks.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Which {
    /// Of this tool alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
    /// Of this principal alone.
    #[arg(long, value_name = "NAME", conflicts_with = "no_principal")]
    pub(crate) principal: Option<String>,
    /// Those alone that no principal owns.
    #[arg(long)]
    pub(crate) no_principal: bool,
}

impl Which {
    pub(crate) fn filter(&self) -> Filter {
        let mut filter = Filter::of(match &self.principal {
            Some(name) => Owner::Principal(Principal::new(name.as_str())),
            None if self.no_principal => Owner::Nobody,
            None => Owner::Anybody,
        });
        filter.tool = self.tool.as_deref().map(Arc::from);
        filter
    }

    /// Whether this means all tasks.
    pub(crate) fn is_all(&self) -> bool {
        self.tool.is_none() && self.principal.is_none() && !self.no_principal
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// In one of these states alone.
    #[arg(long, value_delimiter = ',', value_parser = status_parser(&ALL))]
    pub(crate) status: Vec<Status>,
    /// Accepted since then: so long ago, as in 90m or "2 days", or a time, as in
    /// 2026-11-22T08:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = at_least_one())]
    pub(crate) limit: usize,
    /// Go on after this place, which the page before gave.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub(crate) after: Option<Cursor>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The task's id.
    #[arg(value_name = "ID")]
    pub(crate) id: TaskId,
    /// Show the result, the details of an error and the results of steps, which
    /// may be secret.
    #[arg(long)]
    pub(crate) result: bool,
    /// How many lines of its log.
    #[arg(long, value_name = "LINES", default_value_t = 20)]
    pub(crate) log: usize,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// How often to look where nothing tells of changes, as it is with the progress
    /// inside of a step.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    pub(crate) interval: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The ids of the tasks.
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<TaskId>,
    /// What their callers are told.
    #[arg(long, value_name = "TEXT", default_value = "cancelled by an operator")]
    pub(crate) reason: String,
}

#[derive(Debug, Default, Args)]
pub(crate) struct PurgeArgs {
    /// The ids of the tasks; or say by the options below which are meant.
    #[arg(
        value_name = "ID",
        conflicts_with_all = ["tool", "principal", "no_principal", "status", "older_than", "all"]
    )]
    pub(crate) ids: Vec<TaskId>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Which ended like this.
    #[arg(long, value_delimiter = ',', value_parser = status_parser(&ENDED))]
    pub(crate) status: Vec<Status>,
    /// Which ended so long ago, as in 1h or "2 days".
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// All that have ended.
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct DoctorArgs {
    /// Do not watch the sessions of workers for the time of a lease, which tells the
    /// dead from the living.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Count warnings as errors: exit status 1.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// A moment, once somebody says what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Ago(Duration),
    At(Timestamp),
}

impl Since {
    pub(crate) fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => before(now, ago),
            Self::At(moment) => moment,
        }
    }
}

/// This long before a moment.
pub(crate) fn before(moment: Timestamp, ago: Duration) -> Timestamp {
    let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    Timestamp(moment.0.saturating_sub(ago))
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Since::Ago(ago));
    }
    let time: Result<SystemTime, _> = humantime::parse_rfc3339_weak(text);
    time.map(|time| Since::At(time.into())).map_err(|_| {
        "neither a duration, as in 90m, nor a time in UTC, as in 2026-11-22T08:00:00Z".to_owned()
    })
}

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < SHORTEST_INTERVAL {
        return Err("less than 100ms would be a burden to the store".to_owned());
    }
    Ok(interval)
}

/// What [`place`] reads.
pub(crate) fn place_text(cursor: Cursor) -> String {
    format!("{}-{}", cursor.created_at.0, cursor.id)
}

fn place(text: &str) -> Result<Cursor, String> {
    let parsed = text.split_once('-').and_then(|(moment, id)| {
        let moment = Timestamp(moment.parse().ok()?);
        Some(Cursor::new(moment, id.parse().ok()?))
    });
    parsed.ok_or_else(|| "no place that `list` gave".to_owned())
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

const ALL: [Status; 6] = [
    Status::Queued,
    Status::Working,
    Status::InputRequired,
    Status::Completed,
    Status::Failed,
    Status::Cancelled,
];
const ENDED: [Status; 3] = [Status::Completed, Status::Failed, Status::Cancelled];

fn status_parser(known: &'static [Status]) -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(known.iter().map(|status| status.as_str())).try_map(|word| {
        let named = known.iter().find(|status| status.as_str() == word);
        named.copied().ok_or("no status")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("async-tool").chain(line.split(' ')))
    }

    fn refused(line: &str) -> clap::Error {
        parse(line).expect_err(line)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn filters_are_understood() {
        let cli = parse("list --tool build --principal ada --status failed,cancelled --since 90m");
        let Ok(Cli {
            command: Command::List(list),
            ..
        }) = cli
        else {
            panic!("{cli:?}");
        };
        let filter = list.which.filter();
        assert_eq!(filter.tool.as_deref(), Some("build"));
        assert_eq!(filter.owner, Owner::Principal(Principal::new("ada")));
        assert_eq!(list.status, [Status::Failed, Status::Cancelled]);
        let since = list.since.map(|since| since.moment(Timestamp(5_400_001)));
        assert_eq!(since, Some(Timestamp(1)));
    }

    #[test]
    fn times_are_durations_or_moments() {
        assert_eq!(since("2h"), Ok(Since::Ago(Duration::from_secs(7200))));
        assert_eq!(
            since("1970-01-01T00:00:02Z"),
            Ok(Since::At(Timestamp(2000)))
        );
        assert_eq!(since("1970-01-02"), Err(since("soon").unwrap_err()));
        let long_ago = Since::Ago(Duration::from_secs(10)).moment(Timestamp(1));
        assert_eq!(long_ago, Timestamp(0));
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let cursor = Cursor::new(Timestamp(77), ID.parse().expect("an id"));
        assert_eq!(place(&place_text(cursor)), Ok(cursor));
        for text in ["", "77", "77-", "x-0", &format!("-1-{ID}")] {
            assert!(place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, kind) in [
            ("show", ErrorKind::MissingRequiredArgument),
            ("show 0123", ErrorKind::ValueValidation),
            ("cancel", ErrorKind::MissingRequiredArgument),
            ("list --status done", ErrorKind::InvalidValue),
            ("list --limit 0", ErrorKind::ValueValidation),
            ("purge --status working", ErrorKind::InvalidValue),
            ("watch --interval 1ms", ErrorKind::ValueValidation),
            (
                "list --principal a --no-principal",
                ErrorKind::ArgumentConflict,
            ),
        ] {
            assert_eq!(refused(line).kind(), kind, "{line}");
        }
        let both = format!("purge {ID} --older-than 1h");
        assert_eq!(refused(&both).kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn help_does_not_show_the_store() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("[env: ASYNC_TOOL_STORE]"), "{help}");
    }
}
