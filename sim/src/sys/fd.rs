//! Descriptors that are owned and borrowed as std's are.

use std::io;
use std::marker::PhantomData;
use std::num::NonZeroI32;

use crate::kernel::descriptors::{Fd, Object};
use crate::kernel::{enter, os, with};

/// A descriptor that is closed when it is dropped.
#[derive(Debug)]
pub struct OwnedFd(NonZeroI32);

/// A descriptor that someone else owns.
#[derive(Clone, Copy, Debug)]
pub struct BorrowedFd<'a>(Fd, PhantomData<&'a OwnedFd>);

/// What has a descriptor.
pub trait AsFd {
    /// It.
    fn as_fd(&self) -> BorrowedFd<'_>;
}

impl OwnedFd {
    /// Takes a descriptor that nobody else owns.
    pub fn from_raw(fd: Fd) -> Self {
        // One more than the number, so that an `Option` of it is as small as std's.
        Self(NonZeroI32::new(fd + 1).expect("descriptors are positive"))
    }

    pub(crate) fn new(fd: Fd) -> Self {
        Self::from_raw(fd)
    }

    pub(crate) fn raw(&self) -> Fd {
        self.0.get() - 1
    }

    /// A duplicate (`F_DUPFD_CLOEXEC`). EMFILE.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.as_fd().try_clone_to_owned()
    }
}

impl BorrowedFd<'_> {
    pub(crate) fn new(fd: Fd) -> Self {
        Self(fd, PhantomData)
    }

    pub(crate) fn raw(self) -> Fd {
        self.0
    }

    /// A duplicate (`F_DUPFD_CLOEXEC`). EMFILE.
    pub fn try_clone_to_owned(self) -> io::Result<OwnedFd> {
        enter("fcntl");
        with(|kernel| {
            kernel.fault("fcntl", &[libc::EMFILE])?;
            let id = kernel.descriptors.of(self.0);
            let id = kernel.share(id);
            kernel.install(id).map(OwnedFd::new).map_err(os)
        })
    }
}

impl AsFd for OwnedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        BorrowedFd::new(self.raw())
    }
}

impl AsFd for BorrowedFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        *self
    }
}

impl<T: AsFd> AsFd for &T {
    fn as_fd(&self) -> BorrowedFd<'_> {
        T::as_fd(self)
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        enter("close");
        with(|kernel| kernel.close(self.raw()));
    }
}

/// A descriptor to give up when there is no other.
pub fn reserve() -> io::Result<OwnedFd> {
    enter("open");
    with(|kernel| {
        kernel.fault("open", &[libc::EMFILE, libc::ENFILE])?;
        kernel.open(Object::Null).map(OwnedFd::new).map_err(os)
    })
}
