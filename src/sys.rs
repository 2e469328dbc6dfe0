//! Every call to libc, each behind a safe function. The only file that may hold `unsafe`.
#![allow(unsafe_code, reason = "this is the place for it")]
#![allow(clippy::unnecessary_cast, reason = "the types of libc differ between machines and libcs")]

mod mappings;
#[cfg(test)]
mod tests;

use crate::diagnostic::codes;
use std::{
    ffi::{CStr, OsStr, OsString},
    io::{self, IoSlice},
    mem::{MaybeUninit, size_of},
    net::Shutdown,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    ptr,
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    time::Duration,
};
use tokio::io::{
    Interest, ReadBuf,
    unix::{AsyncFd, AsyncFdRegisterError},
};

/// What kind of socket a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketKind {
    /// A stream socket that listens.
    Listening,
    /// A stream socket that does not.
    Connected,
    /// It carries datagrams.
    Other,
}

/// Whether `fd` is a socket, and of what kind (`SO_TYPE`, `SO_ACCEPTCONN`).
pub(crate) fn socket_kind(fd: RawFd) -> Option<SocketKind> {
    match (socket_option(fd, libc::SO_TYPE)?, socket_option(fd, libc::SO_ACCEPTCONN)?) {
        (libc::SOCK_STREAM, 0) => Some(SocketKind::Connected),
        (libc::SOCK_STREAM, _) => Some(SocketKind::Listening),
        _ => Some(SocketKind::Other),
    }
}

/// Whether `fd` is a terminal. `std` would make a buffer of 8 KiB for stdin to find out.
pub(crate) fn is_terminal(fd: RawFd) -> bool {
    // SAFETY: isatty checks the number and touches no memory of ours.
    unsafe { libc::isatty(fd) == 1 }
}

fn socket_option(fd: RawFd, option: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = libc::socklen_t::try_from(size_of::<libc::c_int>()).ok()?;
    // SAFETY: both pointers are to live locals of the size that is told; a descriptor that is no socket or not open is an error.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut len) };
    (result == 0).then_some(value)
}

/// Takes over a descriptor that the process was started with, closed on exec from now on.
///
/// # Errors
///
/// When nothing is open under that number, and when it was opened by this process.
pub(crate) fn take_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl checks the number.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {fd} was not handed over, this process opened it")));
    }
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC) })?;
    // SAFETY: it came over exec, so it was without FD_CLOEXEC. Whatever std or a runtime opened has that flag, so none of them owns it; and from now on it
    // has it too, so that it is taken over once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether two descriptors are the same file, pipe or socket.
pub(crate) fn same_file(one: RawFd, other: RawFd) -> bool {
    let inode = |fd: RawFd| stat_of(fd).map(|stat| (stat.st_dev, stat.st_ino));
    inode(one).is_some_and(|inode_of_one| inode(other) == Some(inode_of_one))
}

fn stat_of(fd: RawFd) -> Option<libc::stat> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: a buffer of the right type; fstat checks the number.
    let filled = unsafe { libc::fstat(fd, stat.as_mut_ptr()) } == 0;
    // SAFETY: zeroed bytes are a valid stat even if nothing was filled in.
    filled.then_some(unsafe { stat.assume_init() })
}

/// Waits until there is something to read, or the end of it, or on a listening socket somebody to accept. False when none of them comes in time.
pub(crate) fn wait_readable(fd: RawFd, at_most: Duration) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let ms = libc::c_int::try_from(at_most.as_millis()).unwrap_or(libc::c_int::MAX);
    loop {
        // SAFETY: one live pollfd, as told.
        match check(unsafe { libc::poll(&raw mut poll, 1, ms) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ready => return ready.is_ok_and(|ready| ready == 1),
        }
    }
}

/// The address family of a socket.
pub(crate) fn is_unix_socket(fd: impl AsFd) -> io::Result<bool> {
    Ok(i32::from(socket_name(fd)?.0.ss_family) == libc::AF_UNIX)
}

/// The path that a Unix socket is bound to, or `None` for other sockets and for one without a path.
pub(crate) fn socket_path(fd: impl AsFd) -> Option<PathBuf> {
    let (address, len) = socket_name(fd).ok()?;
    if i32::from(address.ss_family) != libc::AF_UNIX {
        return None;
    }
    // SAFETY: sockaddr_storage is larger than sockaddr_un and aligned for it, and the family says that it is one.
    let address = unsafe { &*(&raw const address).cast::<libc::sockaddr_un>() };
    let path: Vec<u8> = address
        .sun_path
        .iter()
        .take(len.saturating_sub(size_of::<libc::sa_family_t>()))
        .map(|byte| *byte as u8)
        .take_while(|byte| *byte != 0)
        .collect();
    (!path.is_empty()).then(|| Path::new(OsStr::from_bytes(&path)).to_owned())
}

fn socket_name(fd: impl AsFd) -> io::Result<(libc::sockaddr_storage, usize)> {
    let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut len = libc::socklen_t::try_from(size_of::<libc::sockaddr_storage>()).map_err(io::Error::other)?;
    // SAFETY: the buffer is as long as it is told to be.
    check(unsafe { libc::getsockname(fd.as_fd().as_raw_fd(), address.as_mut_ptr().cast(), &raw mut len) })?;
    // SAFETY: all bytes were zeroed, which is a valid address of family AF_UNSPEC, and the call only overwrote some of them.
    Ok((unsafe { address.assume_init() }, len as usize))
}

/// Tries to connect to a Unix socket, without waiting: `WouldBlock` means that somebody listens and has no room in the queue.
pub(crate) fn try_connect(path: &Path) -> io::Result<()> {
    let mut address = libc::sockaddr_un { sun_family: libc::sa_family_t::try_from(libc::AF_UNIX).map_err(io::Error::other)?, sun_path: [0; 108] };
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= address.sun_path.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is too long for a socket"));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let len = libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).map_err(io::Error::other)?;
    // SAFETY: has no preconditions; the result is checked.
    let socket = check(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the call just made this descriptor, and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: the address is a live local of the size that is told, its path ends in a zero.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) }).map(drop)
}

/// Waits a moment for stderr to take more. False when it does not.
pub(crate) fn wait_for_stderr() -> bool {
    const MOMENT_MS: libc::c_int = 1000;
    let mut poll = libc::pollfd { fd: 2, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one live pollfd, as told.
    unsafe { libc::poll(&raw mut poll, 1, MOMENT_MS) == 1 }
}

/// A copy of the environment: `NAME=value` and a zero byte for each variable. `std` makes two pieces of memory for each, an eighth of the instructions of a CGI program of ours.
#[inline]
pub(crate) fn environment() -> Vec<u8> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut copy = Vec::with_capacity(2048);
    // SAFETY: the C library keeps it up to date. Whoever changes the environment has to see to it that nobody else reads it meanwhile otherwise than through `std`
    // (`set_var`), in the C library or here.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: a null pointer ends the list, and none was met yet.
        let variable = unsafe { *next };
        if variable.is_null() {
            break;
        }
        // SAFETY: each pointer before that one is to a terminated string, which is copied at once.
        copy.extend_from_slice(unsafe { CStr::from_ptr(variable) }.to_bytes_with_nul());
        // SAFETY: there is at least the null pointer behind this one.
        next = unsafe { next.add(1) };
    }
    copy
}

/// Takes `HTTP_PROXY` out of the environment, where HTTP clients take it for a setting although the visitor wrote it (CVE-2016-5385, "httpoxy").
///
/// Must be called before there is a second thread.
pub(crate) fn forget_http_proxy() {
    forget_variables(["HTTP_PROXY".into()]);
}

/// Takes variables out of the environment.
///
/// Must be called before there is a second thread.
pub(crate) fn forget_variables(names: impl IntoIterator<Item = OsString>) {
    for name in names {
        // SAFETY: the caller sees to it that no other thread reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}

/// Ends one direction of a socket, or both. A listening socket that is shut for reading refuses who connects from now on; who waits in its queue can still be accepted.
pub(crate) fn shut(fd: impl AsFd, how: Shutdown) -> io::Result<()> {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: the descriptor is open for as long as it is borrowed.
    check(unsafe { libc::shutdown(fd.as_fd().as_raw_fd(), how) }).map(drop)
}

/// Takes a connection out of the queue of a listening socket: one that does not block and is closed on exec.
pub(crate) fn accept(fd: impl AsFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open for as long as it is borrowed, and the address of the peer is not asked for.
    let accepted =
        check(unsafe { libc::accept4(fd.as_fd().as_raw_fd(), ptr::null_mut(), ptr::null_mut(), libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) })?;
    // SAFETY: the call just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(accepted) })
}

/// Takes what is there on a socket, as much as `buf` has room for, without waiting.
pub(crate) fn receive(fd: impl AsFd, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
    // SAFETY: nothing here makes initialised bytes uninitialised.
    let room = unsafe { buf.unfilled_mut() };
    // SAFETY: the buffer is live and as long as it is told to be.
    let len = unsafe { libc::recv(fd.as_fd().as_raw_fd(), room.as_mut_ptr().cast(), room.len(), libc::MSG_DONTWAIT) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the call has written as many bytes as it says.
    unsafe { buf.assume_init(len) };
    buf.advance(len);
    Ok(len)
}

/// Gives a socket as much of `bufs` as it has room for, without waiting and without SIGPIPE.
pub(crate) fn send(fd: impl AsFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    /// The kernel takes no more at once.
    const IOV_MAX: usize = 1024;
    let bufs = bufs.get(..IOV_MAX).unwrap_or(bufs);
    let fd = fd.as_fd().as_raw_fd();
    let sent = if let [buf] = bufs {
        // SAFETY: the buffer is live and as long as it is told to be.
        unsafe { libc::send(fd, buf.as_ptr().cast(), buf.len(), FLAGS) }
    } else {
        // SAFETY: zeroed bytes are a valid msghdr that names nothing.
        let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        // An IoSlice is an iovec, as its documentation promises; the call does not write to it.
        message.msg_iov = bufs.as_ptr().cast::<libc::iovec>().cast_mut();
        message.msg_iovlen = bufs.len() as _;
        // SAFETY: the message names live buffers and as many as there are.
        unsafe { libc::sendmsg(fd, &raw const message, FLAGS) }
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// A copy of a descriptor by number, closed on exec.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl checks the number; 3 keeps the copy clear of the standard descriptors.
    let copy = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the call just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Puts /dev/null in the place of a standard descriptor.
pub(crate) fn replace_with_null(fd: RawFd) -> io::Result<()> {
    if is_null(fd) {
        return Ok(());
    }
    // SAFETY: the path is a terminated string.
    let null = check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) })?;
    // SAFETY: the call just made this descriptor, and nobody else knows it.
    let null = unsafe { OwnedFd::from_raw_fd(null) };
    // SAFETY: both numbers are valid; the descriptors 0 to 2, which this is called for, are owned by nobody in std's sense.
    check(unsafe { libc::dup2(null.as_raw_fd(), fd) }).map(drop)
}

/// Whether a descriptor is /dev/null already, as web servers hand it over for a request without a body.
fn is_null(fd: RawFd) -> bool {
    stat_of(fd).is_some_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == libc::makedev(1, 3))
}

/// Makes the standard descriptor `fd` a copy of `other`.
pub(crate) fn replace(fd: RawFd, other: RawFd) -> io::Result<()> {
    // SAFETY: the numbers are checked by the call; the descriptors 0 to 2, which this is called for, are owned by nobody in std's sense.
    check(unsafe { libc::dup2(other, fd) }).map(drop)
}

/// Marks every descriptor from `first` on as closed on exec. Web servers leak descriptors into us; children of the app need not have them.
#[inline]
pub(crate) fn close_on_exec_from(first: libc::c_uint) {
    // SAFETY: the call changes a flag of descriptors and closes none.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) } == 0;
    if !done {
        close_on_exec_one_by_one(first);
    }
}

/// The same for kernels before 5.11, which do not know that call with that flag.
fn close_on_exec_one_by_one(first: libc::c_uint) {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    for fd in numbers.filter(|fd| libc::c_uint::try_from(*fd).is_ok_and(|fd| fd >= first)) {
        // SAFETY: changes a flag, and closes nothing; fcntl checks the number.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Switches O_NONBLOCK and returns how it was.
pub(crate) fn set_nonblocking(fd: impl AsFd, on: bool) -> io::Result<bool> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open for as long as it is borrowed.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let was = flags & libc::O_NONBLOCK != 0;
    if was != on {
        // SAFETY: as above.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags ^ libc::O_NONBLOCK) })?;
    }
    Ok(was)
}

/// A descriptor that closes what it owns when it is dropped and not before, and is always the same.
pub(crate) trait Owned: AsRawFd {}
impl Owned for OwnedFd {}
impl Owned for std::fs::File {}

/// Waits for a file or socket by epoll; regular files and /dev/null are given back, because epoll refuses them.
pub(crate) fn async_fd<F: Owned>(file: F, interest: Interest) -> Result<AsyncFd<F>, AsyncFdRegisterError<F>> {
    // SAFETY: `Owned` promises what is asked for here.
    unsafe { AsyncFd::register_with_interest(file, interest) }
}

/// Whether the other end has hung up. On a Unix socket that is a full close; one that only stopped writing has not.
/// On TCP, where the two cannot be told apart, the end of the input counts as hung up.
pub(crate) fn hung_up(fd: impl AsFd, tcp: bool) -> bool {
    let events = if tcp { libc::POLLRDHUP } else { 0 };
    let mut poll = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 };
    // SAFETY: one live pollfd, as told; time-out 0 returns at once.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0 && poll.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL | libc::POLLRDHUP) != 0
}

/// How many of the bytes that were sent the other end has not taken; 0 where that cannot be said.
pub(crate) fn untaken(fd: impl AsFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the request writes one int, and the pointer is to a live one.
    let done = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if done == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// What a look into a socket found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peeked {
    pub(crate) len: usize,
    /// No more will come behind it.
    pub(crate) ended: bool,
}

/// Copies what comes next on a socket into `buf` and leaves it there. Where that is less than `wanted`, it looks whether no more will come.
pub(crate) fn peek(fd: impl AsFd, buf: &mut [u8], wanted: usize) -> io::Result<Peeked> {
    let (fd, buf_len) = (fd.as_fd(), buf.len());
    let mut look = || {
        // SAFETY: the buffer is live and as long as it is told to be.
        let len = unsafe { libc::recv(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), libc::MSG_PEEK | libc::MSG_DONTWAIT) };
        usize::try_from(len).map_err(|_| io::Error::last_os_error())
    };
    let len = look()?;
    if len == 0 || len >= wanted.min(buf_len) {
        return Ok(Peeked { len, ended: len == 0 });
    }
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one live pollfd, as told; time-out 0 returns at once.
    let ended = unsafe { libc::poll(&raw mut poll, 1, 0) } > 0;
    // More may have come between the two calls, and nothing does after the end.
    Ok(Peeked { len: if ended { look()? } else { len }, ended })
}

/// Takes what is there on a socket, without waiting.
pub(crate) fn take(fd: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is live and as long as it is told to be.
    let len = unsafe { libc::recv(fd.as_fd().as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), libc::MSG_DONTWAIT) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// Lets a handler of ours note a signal from now on: the flag tells that it came. `None` where somebody else handles it, which stays so.
///
/// # Errors
///
/// When the kernel refuses.
pub(crate) fn note_signal(signal: libc::c_int) -> io::Result<Option<&'static AtomicBool>> {
    /// One for each signal there is, by its number.
    static CAME: [AtomicBool; 65] = [const { AtomicBool::new(false) }; 65];
    extern "C" fn note(signal: libc::c_int) {
        if let Some(came) = usize::try_from(signal).ok().and_then(|signal| CAME.get(signal)) {
            came.store(true, Ordering::SeqCst);
        }
    }
    let Some(came) = usize::try_from(signal).ok().and_then(|signal| CAME.get(signal)) else { return Ok(None) };
    // SAFETY: zeroed bytes are a valid sigaction: an empty mask, no flags.
    let (mut ours, mut before): (libc::sigaction, libc::sigaction) =
        unsafe { (MaybeUninit::zeroed().assume_init(), MaybeUninit::zeroed().assume_init()) };
    ours.sa_sigaction = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // What waits in a call of the kernel goes on.
    ours.sa_flags = libc::SA_RESTART;
    // SAFETY: both point to live locals of the right type, and the handler does nothing but store into an atomic.
    check(unsafe { libc::sigaction(signal, &raw const ours, &raw mut before) })?;
    if [libc::SIG_DFL, libc::SIG_IGN, ours.sa_sigaction].contains(&before.sa_sigaction) {
        return Ok(Some(came));
    }
    // SAFETY: as above; this is how the kernel told it.
    check(unsafe { libc::sigaction(signal, &raw const before, ptr::null_mut()) })?;
    Ok(None)
}

/// Runs before `main`, in every program that holds lodger: there is no later time for what it does. The C library may call it with arguments, which it does not take. A library that holds it
/// must not be unloaded.
#[used]
// SAFETY: what stands in this section are pointers to C functions without a result. This one returns, and needs nothing that `std` sets up before `main`.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = handle_faults_of_cgi;

/// Has a CGI program whose stack overflows say so by a handler of ours. `std` has one too, but it maps a stack for it in each process and takes it apart at the end, a twentieth of what a static C
/// program takes in all, and sets none where there is one already. If it did not look, only that would be lost.
///
/// That it is CGI is told by `GATEWAY_INTERFACE` alone, which RFC 3875, 4.1.4 wants there. `std` has a stack for each thread, and this is one for `main`: where it is in force, another thread that
/// uses up its stack says nothing.
extern "C" fn handle_faults_of_cgi() {
    /// What the handler runs on. The registers that a processor of today leaves there can be 11 KiB. To map it would be one more line of `/proc/self/maps`, which `std` reads up to that of the stack.
    static STACK: [AtomicU8; 64 * 1024] = [const { AtomicU8::new(0) }; 64 * 1024];
    const FAULTS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
    // SAFETY: a terminated string. Whoever changes the environment has to see to it that nobody reads it meanwhile, and before `main` nobody does.
    let is_cgi = !unsafe { libc::getenv(c"GATEWAY_INTERFACE".as_ptr()) }.is_null();
    if !is_cgi || FAULTS.iter().any(|signal| handler_of(*signal) != Some(libc::SIG_DFL)) {
        return;
    }
    let stack = libc::stack_t { ss_sp: STACK.as_ptr().cast_mut().cast(), ss_flags: 0, ss_size: STACK.len() };
    // SAFETY: the memory is as long as it is told to be, may be written to behind a shared reference, is used by nobody else, and stays as long as this code does.
    if unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } != 0 {
        return;
    }
    // SAFETY: zeroed bytes are a valid sigaction: an empty mask, no flags.
    let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    ours.sa_sigaction = tell_of_fault as extern "C" fn(libc::c_int) as libc::sighandler_t;
    ours.sa_flags = libc::SA_ONSTACK;
    for signal in FAULTS {
        // SAFETY: a live local of the right type, and a handler that makes calls of the kernel and nothing else.
        unsafe { libc::sigaction(signal, &raw const ours, ptr::null_mut()) };
    }
}

/// Who handles a signal: a function, or what the C library calls `SIG_DFL` and `SIG_IGN`.
fn handler_of(signal: libc::c_int) -> Option<libc::sighandler_t> {
    // SAFETY: zeroed bytes are a valid sigaction.
    let mut now: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the call fills in a live local of the right type and changes nothing.
    let known = unsafe { libc::sigaction(signal, ptr::null(), &raw mut now) } == 0;
    known.then_some(now.sa_sigaction)
}

/// The handler of a fault, also when another handler calls it that was set after it. The process ends by the same signal as without one.
extern "C" fn tell_of_fault(signal: libc::c_int) {
    let line = ["lodger:error: ", codes::MEMORY_FAULT.as_str(), ": the stack of this program overflowed, or it touched memory that is not its own\n"];
    let line = line.map(|part| IoSlice::new(part.as_bytes()));
    // SAFETY: an IoSlice is an iovec, as its documentation promises, and there are three, of live bytes.
    unsafe { libc::writev(2, line.as_ptr().cast(), 3) };
    // SAFETY: both calls are safe in a signal handler (signal-safety(7)) and touch no memory. What is raised waits until the handler has returned.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// Asks a process to leave.
#[cfg(feature = "cli")]
pub(crate) fn terminate(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: sends a signal and touches no memory.
    check(unsafe { libc::kill(pid, libc::SIGTERM) }).map(drop)
}

/// Ends a process and all others of its group, at once. It has to lead that group, and must not have been waited for: its number could be another's by then.
#[cfg(feature = "site")]
pub(crate) fn kill_group(leader: u32) -> io::Result<()> {
    // 0 would stand for our own group, and 1 for everybody.
    let leader = libc::pid_t::try_from(leader).ok().filter(|leader| *leader > 1).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: sends a signal and touches no memory.
    check(unsafe { libc::kill(-leader, libc::SIGKILL) }).map(drop)
}

/// A descriptor that can be read once a child of ours has ended, which must not have been waited for. Kernels before 5.3 have none.
#[cfg(feature = "site")]
pub(crate) fn watch_process(child: u32) -> io::Result<OwnedFd> {
    let child = libc::pid_t::try_from(child).map_err(io::Error::other)?;
    // SAFETY: the call takes two numbers and touches no memory.
    let watch = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) };
    let watch = check(libc::c_int::try_from(watch).map_err(io::Error::other)?)?;
    // SAFETY: the call just made this descriptor, closed on exec, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(watch) })
}

/// Bytes that nobody can guess, from the kernel.
pub(crate) fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: the buffer is live and as long as it is told to be.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
    match usize::try_from(filled) {
        Ok(filled) if filled == N => Ok(bytes),
        Ok(_) => Err(io::ErrorKind::Interrupted.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// The effective user.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether there is nothing at `path`, or a link to nothing. Where the kernel does not say so, there may be something.
#[cfg(feature = "site")]
pub(crate) fn is_missing(path: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return true };
    // SAFETY: reads a terminated string and touches no other memory.
    let found = check(unsafe { libc::access(path.as_ptr(), libc::F_OK) });
    found.is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT))
}

/// Whether files in `path` would live in memory.
pub(crate) fn is_memory_backed(path: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    let mut stat = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: a terminated string and a buffer of the right type; on success the buffer is filled.
    let filled = unsafe { libc::statfs(path.as_ptr(), stat.as_mut_ptr()) } == 0;
    // SAFETY: zeroed bytes are a valid statfs even if nothing was filled in.
    let kind = unsafe { stat.assume_init() }.f_type;
    let memory = [libc::TMPFS_MAGIC as i64, 0x8584_58f6_i64].contains(&(kind as i64));
    filled && memory
}

/// Gives memory back to the kernel that is free and that glibc keeps for later. Other allocators give it back by themselves, or cannot be asked here.
pub(crate) fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    {
        /// Less than this is no reason to ask. A program with an allocator of its own has hardly anything from glibc, whose heap should then be left alone: it may share the
        /// break with that allocator.
        const WORTH_IT: u32 = 1024 * 1024;
        // SAFETY: mallinfo takes nothing and only counts. Its successor is not there on older hosts.
        let free = unsafe { libc::mallinfo() }.fordblks.cast_unsigned();
        if free >= WORTH_IT {
            // SAFETY: malloc_trim takes a number and touches nothing that is in use.
            unsafe { libc::malloc_trim(0) };
        }
    }
}

/// Gives back what the kernel has mapped of the file of this program. Whatever of it is touched again is mapped again.
pub(crate) fn let_go_of_program() {
    let Ok(mappings) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for mapping in mappings::unchanged(&mappings, let_go_of_program as *const () as usize) {
        // SAFETY: the mapping is of the program itself, so that nobody takes it away or puts another in its place while the process lives; the kernel says that no page in
        // it differs from the file, and as it cannot be written to, none can since. So nothing is lost.
        unsafe { libc::madvise(ptr::with_exposed_provenance_mut(mapping.start), mapping.len(), libc::MADV_DONTNEED) };
    }
}

/// Has the ends of children told again where whoever started this process had them ignored, which outlives exec: the kernel would take them away unasked, and give
/// their numbers to others.
#[cfg(feature = "site")]
pub(crate) fn stop_ignoring_children() {
    if handler_of(libc::SIGCHLD) == Some(libc::SIG_IGN) {
        // SAFETY: the default of this signal is to do nothing, and no handler of anybody is replaced.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
