//! The hello of lodger with musl's malloc, taken out of musl's own library, in a program that is otherwise linked against glibc.
#![allow(unsafe_code, reason = "an allocator is an unsafe trait, and this one is written in C")]

use axum::{Router, routing::get};
use std::{
    alloc::{GlobalAlloc, Layout},
    ffi::c_void,
};

#[global_allocator]
static ALLOCATOR: Musl = Musl;

fn main() -> std::process::ExitCode {
    lodger::run(|| Router::new().route("/hello", get(|| async { "hello, world\n" })))
}

/// Alignment that musl's malloc gives unasked.
const ALIGNMENT: usize = 16;

struct Musl;

// SAFETY: musl's malloc keeps what C promises of malloc, calloc, realloc, aligned_alloc and free, which is what this trait asks for; and no pointer of it ever
// reaches glibc's free, since Rust frees with the allocator that it allocated with.
unsafe impl GlobalAlloc for Musl {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the sizes are those of a valid layout.
        unsafe { if layout.align() <= ALIGNMENT { musl_malloc(layout.size()) } else { musl_aligned_alloc(layout.align(), layout.size()) } }.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNMENT {
            // SAFETY: the size is that of a valid layout.
            return unsafe { musl_calloc(1, layout.size()) }.cast();
        }
        // SAFETY: the caller keeps the contract of `alloc`, and what it gave is as long as the layout says.
        unsafe {
            let start = self.alloc(layout);
            if !start.is_null() {
                start.write_bytes(0, layout.size());
            }
            start
        }
    }

    unsafe fn dealloc(&self, start: *mut u8, _: Layout) {
        // SAFETY: the caller got it from this allocator.
        unsafe { musl_free(start.cast()) };
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGNMENT {
            // SAFETY: the caller got it from this allocator.
            return unsafe { musl_realloc(start.cast(), size) }.cast();
        }
        // SAFETY: the caller vouches for size and alignment; the two blocks are different ones, and each is as long as what is copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(start, layout.size().min(size));
                self.dealloc(start, layout);
            }
            new
        }
    }
}

unsafe extern "C" {
    fn musl_malloc(size: usize) -> *mut c_void;
    fn musl_calloc(count: usize, size: usize) -> *mut c_void;
    fn musl_realloc(start: *mut c_void, size: usize) -> *mut c_void;
    fn musl_aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn musl_free(start: *mut c_void);
}
