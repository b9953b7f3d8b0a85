# Rscript make.R, in the folder of this case; writes expected.csv
library(mvtnorm)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value) {
  out <<- rbind(out, data.frame(quantity, term, value = sprintf("%.12g", value), rtol = 1e-4,
    why = "quasi-random integration of three variables, error below 2e-5"))
}
for (i in seq_len(nrow(d))) {
  r <- d[i, ]; a <- r$alpha; shift <- c(r$shift_1, r$shift_2, r$shift_3)
  R <- diag(3); R[1, 2] <- R[2, 1] <- r$r_12; R[1, 3] <- R[3, 1] <- r$r_13; R[2, 3] <- R[3, 2] <- r$r_23
  box <- function(low, up) pmvnorm(low, up, mean = shift, corr = R, algorithm = Miwa(steps = 512))[1]
  # Cut each axis at all levels that occur; p.adjust decides in the middle of each cell.
  cuts <- sort(qnorm(1 - a / (1:3))); ends <- c(-Inf, cuts, Inf)
  middle <- c(cuts[1] - 1, (cuts[-1] + cuts[-3]) / 2, cuts[3] + 1)
  cells <- as.matrix(expand.grid(1:4, 1:4, 1:4))
  p <- apply(cells, 1, function(k) box(ends[k], ends[k + 1]))
  stopifnot(abs(sum(p) - 1) < 1e-7)
  decide <- list(
    bonferroni = function(z) p.adjust(1 - pnorm(z), "bonferroni") <= a,
    holm = function(z) p.adjust(1 - pnorm(z), "holm") <= a,
    hochberg = function(z) p.adjust(1 - pnorm(z), "hochberg") <= a,
    fixed_sequence = function(z) cummax(1 - pnorm(z)) <= a,
    co_primary = function(z) 1 - pnorm(z) <= a)
  for (name in names(decide)) {
    won <- t(apply(cells, 1, function(k) decide[[name]](middle[k])))
    every <- rowSums(won) == 3; some <- if (name == "co_primary") every else rowSums(won) > 0
    put(paste0(name, ".any"), r$term, sum(p[some]))
    put(paste0(name, ".all"), r$term, sum(p[every]))
    for (j in 1:3) put(paste0(name, ".outcome_", j), r$term, sum(p[won[, j]]))
  }
}
write.csv(out, "expected.csv", row.names = FALSE)
