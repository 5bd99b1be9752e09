//! What is wrong with a configuration, in the operator's words.

use std::fmt;

/// One thing the operator should change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted: `listener[0].bind`.
    pub key: String,
    /// The value as written, unless it is secret.
    pub value: Option<String>,
    /// The line in the file, if the key stands in the file.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    /// A problem with a key.
    pub fn new(key: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            value: None,
            line: None,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// The same with the value as written. Secrets are left out.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        let secret = self.key.contains("secret") || self.key.contains("password");
        self.value = (!secret).then(|| value.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_empty() { "the file" } else { &self.key };
        write!(f, "{key}")?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        write!(f, ": {}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "\n    remedy: {}", self.remedy)?;
        }
        Ok(())
    }
}

/// All problems of one configuration, found at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "the configuration has {count} problem{}:", if count == 1 { "" } else { "s" })?;
        for problem in &self.0 {
            writeln!(f, "  {problem}")?;
        }
        Ok(())
    }
}
