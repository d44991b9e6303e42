//! The error numbers (errno(3)) that the layers above match on.
//!
//! They are what `io::Error::raw_os_error` returns. Add a number here when a layer needs it.

// Something has run out: descriptors, memory, processes or space.
pub use libc::{EAGAIN, EDQUOT, EFBIG, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC};
// The path leads to something else, or to nothing.
pub use libc::{
    EEXIST, EILSEQ, EISDIR, ELOOP, ENAMETOOLONG, ENODEV, ENOENT, ENOTDIR, ENXIO, EXDEV,
};
// It is not allowed, or it cannot be done.
pub use libc::{
    E2BIG, EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, EIO, ENOEXEC, ENOSYS, EPERM, EROFS,
};
