//! The sockets a listener can be bound to.

use std::{
    fmt, fs, io,
    net::{IpAddr, SocketAddr},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{DirBuilderExt, PermissionsExt},
            net::SocketAddr as UnixAddr,
        },
    },
    path::{Path, PathBuf},
    str::FromStr,
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Where a listener is reached: `127.0.0.1:8008` or `unix:/path/to/socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket in the file system that only its owner can connect to.
    Unix(PathBuf),
}

impl FromStr for Bind {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) async fn bind(bind: &Bind) -> io::Result<Self> {
        match bind {
            Bind::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Bind::Unix(path) => {
                clear_the_way(path).await?;
                let listener = bind_privately(path)?;
                Ok(Self::Unix(listener, SocketFile(path.clone())))
            }
        }
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole; waiting for more bytes only adds delay.
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Some(peer.ip())))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("unknown"),
            },
            Self::Unix(_, file) => write!(f, "unix:{}", file.0.display()),
        }
    }
}

/// Removes the socket from the file system when the listener is done.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A socket that is gone already is what was wanted.
        let _ = fs::remove_file(&self.0);
    }
}

/// A socket that nobody answers was left by a process that was killed. One that somebody answers
/// belongs to a running server and is not ours to take.
async fn clear_the_way(path: &Path) -> io::Result<()> {
    match connect_unix(path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Binds inside a folder only we can enter, narrows the mode, then moves the socket to its place:
/// at no moment can somebody else connect.
fn bind_privately(path: &Path) -> io::Result<UnixListener> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let folder = path.with_file_name(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let inside = folder.join("s");
    let bound = Reach::of(&inside).and_then(|reach| UnixListener::bind(&reach.path));
    let bound = bound.and_then(|listener| {
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o600))?;
        fs::rename(&inside, path)?;
        Ok(listener)
    });
    fs::remove_dir_all(&folder)?;
    bound
}

/// Connects to a socket in the file system, however long its path is.
pub async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let reach = Reach::of(path)?;
    UnixStream::connect(&reach.path).await
}

/// Where this process finds its open files.
const OPEN_FILES: &str = "/proc/self/fd";

/// The address of a socket holds about a hundred bytes, and data folders may have longer names. Such a
/// socket is reached through its opened folder, whose name by number is short.
struct Reach {
    path: PathBuf,
    /// Keeps the number good.
    _folder: Option<fs::File>,
}

impl Reach {
    fn of(path: &Path) -> io::Result<Self> {
        if UnixAddr::from_pathname(path).is_ok() {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let folder = fs::File::open(path.parent().unwrap_or(Path::new(".")))?;
        let by_number = Path::new(OPEN_FILES).join(folder.as_raw_fd().to_string());
        if !by_number.exists() {
            let text = "the path is too long for a socket, and there is no /proc to shorten it by: \
                        choose a folder with a shorter name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let path = by_number.join(path.file_name().unwrap_or_default());
        Ok(Self { path, _folder: Some(folder) })
    }
}
