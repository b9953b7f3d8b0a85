# Bases of R: splines::ns, splines::bs and poly, of some numbers and of others beyond their range.
suppressMessages(library(splines))
options(digits = 17)
d <- read.csv("input.csv"); x <- d$x[d$part == "fit"]; new <- d$x[d$part == "new"]
rows <- list()
add <- function(name, basis, rtol = 1e-10, why = "the same numbers by other arithmetic") {
  made <- rbind(basis, predict(basis, new))
  for (k in seq_len(ncol(basis)))
    rows[[length(rows) + 1]] <<- data.frame(quantity = name, term = paste(seq_len(nrow(made)), k, sep = " | "),
      value = sprintf("%.15g", made[, k]), rtol = rtol, why = why)
}
add("ns(x, df=1)", ns(x, df = 1)); add("ns(x, df=2)", ns(x, df = 2))
add("ns(x, df=3)", ns(x, df = 3)); add("ns(x, df=5)", ns(x, df = 5))
add("ns(x, knots=[1.0, 2.5])", ns(x, knots = c(1, 2.5)))
add("ns(x, df=4, lower_bound=0.5, upper_bound=3.5)", ns(x, df = 4, Boundary.knots = c(0.5, 3.5)))
add("ns(x, df=4, include_intercept=True)", ns(x, df = 4, intercept = TRUE))
inside <- new >= min(x) & new <= max(x); new <- new[inside]
add("bs(x, df=4)", bs(x, df = 4)); add("bs(x, df=5, degree=2)", bs(x, df = 5, degree = 2))
add("bs(x, knots=[1.0, 2.5])", bs(x, knots = c(1, 2.5)))
add("poly(x, 2)", poly(x, 2)); add("poly(x, 4)", poly(x, 4))
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE, quote = TRUE)
