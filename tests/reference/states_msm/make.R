# Rscript make.R, in the folder of this case; reads input.csv, writes expected.csv
library(msm)
d <- read.csv("input.csv")
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
same <- "same likelihood; msm stops a little short of its maximum"
error <- "inverse information, at estimates that agree to 1e-4"
top <- "same likelihood at the same maximum"
z <- qnorm(0.975)
states <- c("1", "2", "3", "4")
Q <- rbind(c(0, .3, 0, .01), c(.1, 0, .2, .02), c(0, .1, 0, .1), c(0, 0, 0, 0))
E <- rbind(c(0, .1, 0, 0), c(.1, 0, .1, 0), c(0, .1, 0, 0), c(0, 0, 0, 0))
start <- c(.6, .3, .1, 0)
tight <- list(reltol = 1e-16, maxit = 10000, fnscale = 4000)
moves <- which(Q > 0, arr.ind = TRUE)
errors <- which(E > 0, arr.ind = TRUE)
pair <- function(at) paste(at[, 1], at[, 2], sep = " -> ")
spread <- function(x, at) log(x$U[at] / x$L[at]) / (2 * z)
fit <- function(name, covariate = TRUE, hidden = FALSE, data = d, exact = 4, ...) {
  args <- list(formula = state ~ year, subject = quote(subject_id), data = data, qmatrix = Q,
               center = FALSE, method = "BFGS", control = tight, ...)
  if (exact) args$deathexact <- exact
  if (covariate) args$covariates <- ~ treated
  if (hidden) args <- c(args, list(ematrix = E))
  if (hidden && is.null(args$initprobs)) args$initprobs <- start
  seconds <- system.time(m <- do.call(msm, args))["elapsed"]
  cat(name, format(m$minus2loglik, digits = 12), "in", seconds, "s\n")
  put(paste0(name, ".log_likelihood"), "model", -m$minus2loglik / 2, 1e-10, top)
  q <- if (covariate) qmatrix.msm(m, covariates = list(treated = 0)) else qmatrix.msm(m)
  put(paste0(name, ".intensity"), pair(moves), q$estimates[moves], 1e-4, same)
  put(paste0(name, ".log_intensity_std_error"), pair(moves), spread(q, moves), 2e-4, error)
  if (covariate) {
    h <- hazard.msm(m)$treated
    key <- sub("State ([0-9]) - State ([0-9])", "\\1 -> \\2", rownames(h))
    put(paste0(name, ".log_hazard_ratio_std_error"), key, log(h[, "U"] / h[, "L"]) / (2 * z), 2e-4,
        error)
    put(paste0(name, ".hazard_ratio"), key, h[, "HR"], 2e-4, same)
  }
  if (hidden) {
    e <- if (is.null(args$misccovariates)) ematrix.msm(m) else
      ematrix.msm(m, covariates = list(treated = 0))
    put(paste0(name, ".misclassification"), pair(errors), e$estimates[errors], 1e-4, same)
  }
  invisible(m)
}
panel <- fit("panel")
at <- list(treated = 1)
put("panel.probability", as.vector(outer(states, states, paste, sep = " -> ")),
    as.vector(pmatrix.msm(panel, t = 2, covariates = at)), 1e-5, same)
stay <- sojourn.msm(panel, covariates = at)
put("panel.sojourn", states[1:3], stay$estimates, 1e-5, same)
put("panel.sojourn_std_error", states[1:3], stay$SE, 1e-5, error)
fit("common", constraint = list(treated = rep(1, 7)))
fit("not_exact", exact = 0)
last <- !duplicated(d$subject_id, fromLast = TRUE)
lost <- d
lost$state[last & lost$state != 4 & lost$treated == 1] <- 99
fit("censored", data = lost, censor = 99, censor.states = 1:3)
middle <- d
middle$state[ave(d$year, d$subject_id, FUN = seq_along) == 3 & d$state < 3] <- 98
fit("uncertain", data = middle, censor = 98, censor.states = 1:2, covariate = FALSE)
plain <- fit("hidden_plain", hidden = TRUE, covariate = FALSE)
v <- viterbi.msm(plain)
some <- v$subject %in% c("S001", "S006", "S020", "S033")
key <- paste(v$subject, v$time, sep = "@")
put("hidden_plain.viterbi", key[some], v$fitted[some], 0, "a state")
for (s in 1:3) put(paste0("hidden_plain.posterior.", s), key[some], v$pstate[some, s], 1e-3,
                   "same recursion at estimates that agree to 1e-4")
fit("hidden", hidden = TRUE)
fit("rating_covariate", hidden = TRUE, covariate = FALSE, misccovariates = ~ treated)
estimated <- fit("initial", hidden = TRUE, covariate = FALSE, est.initprobs = TRUE)
put("initial.initial", states[1:3], estimated$hmodel$initprobs[1:3, "Estimate"], 1e-5, same)
write.csv(out, "expected.csv", row.names = FALSE)
