//! `mirror serve`: in the foreground, until it is interrupted.

use govern_core::problem::{Code, Report};

use crate::args::Serve;
use crate::exit::{self, Exit};
use crate::verbs::Session;

pub(crate) fn serve(session: &Session<'_>, args: &Serve) -> Result<Exit, Report> {
    let mut vars = session.world.vars.clone();
    if args.offline {
        vars.set("GOVERN_OFFLINE", "1");
    }
    let listener = std::net::TcpListener::bind(args.listen).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?, listener))
    });
    let (address, listener) = listener.map_err(|error| {
        let report = Report::new(Code::Failure, format!("cannot listen on {}", args.listen)).cause(error.to_string());
        report.hint("govern mirror serve --listen 127.0.0.1:0")
    })?;
    let url = format!("http://{address}");
    session.ui.answer(&format!("{url}\n"))?;
    session.ui.talk("Serving Go to whoever reaches this address; stop it with Ctrl-C. On the other machines:");
    session.ui.talk(&format!("  govern   export GOVERN_DL_URL={url}/dl/ GOPROXY={url}"));
    session.ui.talk(&format!("  plain go export GOPROXY={url},direct"));
    session.ask.serve(listener, &vars)?;
    session.ui.talk("Stopped");
    Ok(exit::OK)
}
