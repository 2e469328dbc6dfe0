//! Whether the process has been told to leave, for whoever waits for something else as well.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Waker},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A look at the stop token that costs little where it is asked again and again by the same task.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// Made when somebody first has to wait. It wakes whoever asked last, so that it is not asked again by the same.
    waiting: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    asked_by: Option<Waker>,
}

impl Stop {
    /// Whether `token` is cancelled. If not, the task of `cx` is woken when it is.
    pub(super) fn poll(&mut self, token: &CancellationToken, cx: &mut Context<'_>) -> bool {
        if self.is_known_to(cx) {
            return token.is_cancelled();
        }
        self.asked_by = Some(cx.waker().clone());
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(token.clone().cancelled_owned()));
        waiting.as_mut().poll(cx).is_ready()
    }

    /// Whether it was the task of `cx` that asked last.
    pub(super) fn is_known_to(&self, cx: &Context<'_>) -> bool {
        self.asked_by.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::time::timeout;

    async fn stopped(stop: &mut Stop, token: &CancellationToken) {
        poll_fn(|cx| if stop.poll(token, cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    #[tokio::test]
    async fn a_task_that_asked_before_is_woken_and_so_is_another_that_took_over() {
        let (mut stop, token) = (Stop::default(), CancellationToken::new());
        for _ in 0..3 {
            let asked = poll_fn(|cx| Poll::Ready(stop.poll(&token, cx))).await;
            assert!(!asked);
        }
        let (elsewhere, cancel) = (token.clone(), token.clone());
        let took_over = tokio::spawn(async move { stopped(&mut stop, &elsewhere).await });
        tokio::task::yield_now().await;
        cancel.cancel();
        timeout(Duration::from_secs(20), took_over).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_stop_before_the_first_look_is_seen() {
        let token = CancellationToken::new();
        token.cancel();
        timeout(Duration::from_secs(20), stopped(&mut Stop::default(), &token)).await.unwrap();
    }
}
