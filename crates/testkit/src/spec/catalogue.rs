//! Which operation a request is.

use std::{cmp::Reverse, collections::HashMap, fs, path::Path};

/// An operation of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// Its `operationId`, with the API it belongs to where two share one.
    pub(super) id: String,
    /// The same as the document spells it.
    pub(super) name: String,
    /// The document, below the folder of all APIs.
    pub(super) document: String,
    /// Whether it may ask for stages of authentication.
    pub(super) is_interactive: bool,
    segments: Vec<String>,
}

impl Operation {
    fn matches(&self, path: &[&str]) -> bool {
        let is_one =
            |(pattern, segment): (&String, &&str)| pattern.starts_with('{') || pattern == segment;
        self.segments.len() == path.len() && self.segments.iter().zip(path).all(is_one)
    }

    fn parameters(&self) -> usize {
        self.segments.iter().filter(|it| it.starts_with('{')).count()
    }
}

/// All operations, by method.
#[derive(Debug, Default)]
pub(super) struct Catalogue(HashMap<String, Vec<Operation>>);

impl Catalogue {
    /// Reads the tables of operations beside the documents.
    pub(super) fn read(folder: &Path) -> Self {
        let mut this = Self::default();
        for table in ["endpoints_client.tsv", "endpoints_server.tsv"] {
            let text = fs::read_to_string(folder.join(table)).expect("a table of operations");
            this.add(&text);
        }
        for operations in this.0.values_mut() {
            operations.sort_by_key(|it| (it.segments.len(), Reverse(it.parameters())));
            operations.reverse();
        }
        this
    }

    fn add(&mut self, table: &str) {
        let mut lines = table.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        let column = |name| head.iter().position(|it| *it == name).expect("a column");
        let columns = ["method", "path", "operationId", "yaml", "uia"].map(column);
        for line in lines {
            let cells: Vec<&str> = line.split('\t').collect();
            let [method, path, name, document, stages] = columns.map(|at| cells[at].to_owned());
            let api = document.split('/').next().unwrap_or_default();
            let segments = path.split('/').map(str::to_owned).collect();
            let id = format!("{api} {name}");
            let is_interactive = stages != "no" && stages != "-";
            let operation = Operation { id, name, document, is_interactive, segments };
            self.0.entry(method).or_default().push(operation);
        }
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &Operation> {
        self.0.values().flatten()
    }

    /// The operation of a request, by its path without the query. Earlier versions of a path are
    /// answered as the current one.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        let path = path
            .replacen("/_matrix/client/r0/", "/_matrix/client/v3/", 1)
            .replacen("/_matrix/media/r0/", "/_matrix/media/v3/", 1)
            .replacen("/_matrix/media/v1/", "/_matrix/media/v3/", 1);
        let segments: Vec<&str> = path.split('/').collect();
        self.0.get(method)?.iter().find(|it| it.matches(&segments))
    }
}
