# Rscript make.R, in the folder of this case; writes expected.csv
library(ordinal)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
d$arm <- factor(d$arm, levels = c("placebo", "active"))
d$id <- factor(d$subject_id)
d$score <- factor(d$edss, ordered = TRUE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
control <- clmm.control(method = "nlminb", maxIter = 500, gradTol = 1e-8, maxLineIter = 200)
same <- "the same quadrature, whose nodes clmm lets move while it climbs"
exact <- "both maxima of likelihoods that agree to 1e-6"
for (link in c("logit", "probit")) {
  fit <- clmm(score ~ year * arm + (1 | id), d, nAGQ = 31, link = link, Hess = TRUE, control = control)
  put(paste0(link, ".log_likelihood"), "model", as.numeric(logLik(fit)), 1e-7, same)
  put(paste0(link, ".threshold"), names(fit$alpha), fit$alpha, 1e-4, exact)
  put(paste0(link, ".effect"), names(fit$beta), fit$beta, 1e-3, exact)
  put(paste0(link, ".std_error"), c(names(fit$alpha), names(fit$beta)),
      sqrt(diag(vcov(fit)))[seq_len(length(fit$alpha) + length(fit$beta))], 1e-3,
      "clmm differences numerically")
  put(paste0(link, ".sd"), "intercept", as.numeric(attr(VarCorr(fit)$id, "stddev")), 1e-4, exact)
  put(paste0(link, ".blup"), levels(d$id)[c(1, 10, 50)], ranef(fit)$id[c(1, 10, 50), 1], 2e-3, exact)
}
# Laplace's approximation, all that clmm has for two random effects, at clmm's own estimates
laplace <- "the same function at the same point; clmm finds its modes to 1e-3 or so"
fit <- clmm(score ~ year * arm + (year | id), d, Hess = TRUE)
V <- VarCorr(fit)$id
given <- "where the function is evaluated"
put("slopes.threshold", names(fit$alpha), fit$alpha, 0, given)
put("slopes.effect", names(fit$beta), fit$beta, 0, given)
put("slopes.sd", c("intercept", "year"), as.numeric(attr(V, "stddev")), 0, given)
put("slopes.correlation", "intercept with year", attr(V, "correlation")[1, 2], 0, given)
put("slopes.laplace_log_likelihood", "model", as.numeric(logLik(fit)), 1e-6, laplace)
write.csv(out, "expected.csv", row.names = FALSE)
