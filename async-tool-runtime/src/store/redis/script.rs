//! The scripts: one for each verb, each one atomic step.

use std::sync::LazyLock;

use ::redis::{Cmd, Value};

/// A script and its name on the server.
#[derive(Debug)]
pub(super) struct Script {
    code: String,
    hash: String,
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {$(
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                include_str!("scripts/prelude.lua"),
                include_str!("scripts/queue.lua"),
                include_str!("scripts/transitions.lua"),
                include_str!("scripts/indexes.lua"),
                include_str!($file),
            ))
        });
    )*};
}

scripts! {
    CREATE = "scripts/create.lua";
    CLAIM = "scripts/claim.lua";
    BEAT = "scripts/beat.lua";
    FINISH = "scripts/finish.lua";
    RELEASE = "scripts/release.lua";
    PUT_RESULT = "scripts/put_result.lua";
    RECORD_STEP = "scripts/record_step.lua";
    ASK = "scripts/ask.lua";
    ANSWER = "scripts/answer.lua";
    REQUEST_CANCEL = "scripts/request_cancel.lua";
    GET = "scripts/get.lua";
    LIST = "scripts/list.lua";
    REAP = "scripts/reap.lua";
    CLAIM_NOTICES = "scripts/claim_notices.lua";
    SETTLE_NOTICE = "scripts/settle_notice.lua";
    PURGE = "scripts/purge.lua";
    STATS = "scripts/stats.lua";
}

impl Script {
    fn new(code: &str) -> Self {
        Self {
            hash: ::redis::Script::new(code).get_hash().to_owned(),
            code: code.to_owned(),
        }
    }

    /// By its name, which the server knows if it has run it before.
    pub(super) fn by_hash(&self, base: &str, arguments: &Arguments) -> Cmd {
        command("EVALSHA", &self.hash, base, arguments)
    }

    /// In full, which makes it known as well.
    pub(super) fn in_full(&self, base: &str, arguments: &Arguments) -> Cmd {
        command("EVAL", &self.code, base, arguments)
    }
}

fn command(name: &str, script: &str, base: &str, arguments: &Arguments) -> Cmd {
    let mut command = ::redis::cmd(name);
    command.arg(script).arg(1).arg(base);
    for argument in &arguments.0 {
        command.arg(argument.as_slice());
    }
    command
}

/// What a script is given, in its order.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments(Vec<Vec<u8>>);

/// The largest number that is exact in Lua, halved: sums of two are exact.
pub(super) const LARGEST: u64 = 1 << 52;

impl Arguments {
    #[must_use]
    pub(super) fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.push(bytes.into());
        self
    }

    #[must_use]
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text)
    }

    #[must_use]
    pub(super) fn number(self, number: u64) -> Self {
        self.bytes(number.min(LARGEST).to_string())
    }

    #[must_use]
    pub(super) fn count(self, count: usize) -> Self {
        self.number(u64::try_from(count).unwrap_or(u64::MAX))
    }

    #[must_use]
    pub(super) fn flag(self, flag: bool) -> Self {
        self.text(if flag { "1" } else { "0" })
    }

    /// What `maybe` in `prelude.lua` reads.
    #[must_use]
    pub(super) fn maybe(self, text: Option<&str>) -> Self {
        self.bytes(text.map_or_else(String::new, |text| format!("={text}")))
    }

    #[must_use]
    pub(super) fn each<T>(
        self,
        items: impl IntoIterator<Item = T>,
        add: impl FnMut(Self, T) -> Self,
    ) -> Self {
        items.into_iter().fold(self, add)
    }
}

/// The parts of an answer, in their order.
#[derive(Debug)]
pub(super) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub(super) fn of(value: Value) -> Option<Self> {
        match value {
            Value::Array(values) => Some(Self(values.into_iter())),
            _ => None,
        }
    }

    pub(super) fn value(&mut self) -> Option<Value> {
        self.0.next()
    }

    pub(super) fn list(&mut self) -> Option<Self> {
        Self::of(self.value()?)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        text(self.value()?)
    }

    /// None within, if there is nothing at this place.
    pub(super) fn maybe(&mut self) -> Option<Option<String>> {
        match self.value()? {
            Value::Nil => Some(None),
            value => text(value).map(Some),
        }
    }

    pub(super) fn parsed<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.text()?.parse().ok()
    }

    pub(super) fn maybe_parsed<T: std::str::FromStr>(&mut self) -> Option<Option<T>> {
        match self.maybe()? {
            Some(text) => text.parse().ok().map(Some),
            None => Some(None),
        }
    }

    pub(super) fn number(&mut self) -> Option<usize> {
        match self.value()? {
            Value::Int(count) => usize::try_from(count).ok(),
            _ => None,
        }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.value()? {
            Value::Int(flag) => Some(flag != 0),
            _ => None,
        }
    }
}

impl Iterator for Reply {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        self.value()
    }
}

pub(super) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
