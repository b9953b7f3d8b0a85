# Run in this folder: Rscript make.R
suppressMessages(library(rpact))
given <- read.csv("input.csv")
at <- function(design, quantity) given$value[given$design == design & given$quantity == quantity]
rows <- list()
add <- function(quantity, term, value, rtol, why)
  rows[[length(rows) + 1]] <<- data.frame(quantity, term, value, rtol, why)

# Normal outcome, SD 1, two arms of the same size: exact stopping probabilities.
for (type in c("OF", "asOF", "P")) {
  design <- getDesignGroupSequential(
    kMax = at("group_sequential", "n_looks"), alpha = at("group_sequential", "alpha"),
    sided = 1, typeOfDesign = type,
    futilityBounds = rep(at("group_sequential", "futility_z"), 2), bindingFutility = FALSE)
  for (effect in c(0, at("group_sequential", "effect"))) {
    found <- getPowerMeans(design, alternative = effect, stDev = 1, normalApproximation = TRUE,
      groups = 2, maxNumberOfSubjects = at("group_sequential", "n_subjects"))
    label <- paste(type, if (effect == 0) "null" else "effect", sep = "_")
    for (k in 1:3) add("stop_efficacy", paste(label, k, sep = "_"),
      found$rejectPerStage[k, 1], 1e-6, "exact: recursive integration")
    for (k in 1:2) add("stop_futility", paste(label, k, sep = "_"),
      found$futilityPerStage[k, 1], 1e-6, "exact: recursive integration")
    add("expected_n", label, found$expectedNumberOfSubjects[1], 1e-6, "exact")
  }
}

# Two treated arms and a reference, one stage, Dunnett's test.
n_rep <- 20000
single <- getDesignInverseNormal(kMax = 1, alpha = 0.025)
share <- at("dunnett", "n_subjects") / 3
for (effects in list(c(0, 0), c(0, at("dunnett", "effect")))) {
  found <- getSimulationMultiArmMeans(single, activeArms = 2, typeOfShape = "userDefined",
    effectMatrix = matrix(effects, nrow = 1), stDev = 1, plannedSubjects = share,
    intersectionTest = "Dunnett", maxNumberOfIterations = n_rep, seed = 20261123)
  add("reject_at_least_one", if (any(effects > 0)) "effect" else "null",
    found$rejectAtLeastOne[1], 0, paste("simulation of", n_rep, "trials"))
}

# Selection of the best arm at half of the subjects.
two <- getDesignInverseNormal(kMax = 2, alpha = 0.025, informationRates = c(0.5, 1),
  typeOfDesign = "noEarlyEfficacy")
half <- at("selection", "n_subjects") / 6
found <- getSimulationMultiArmMeans(two, activeArms = 2, typeOfShape = "userDefined",
  effectMatrix = matrix(c(at("selection", "effect_first"), at("selection", "effect_second")), 1),
  stDev = 1, plannedSubjects = c(half, 2 * half), typeOfSelection = "best",
  intersectionTest = "Dunnett", maxNumberOfIterations = n_rep, seed = 20261123)
add("selected", "second", found$selectedArms[2, 1, 2], 0, paste("simulation of", n_rep, "trials"))

# Second stage raised to a conditional power at the trend seen, stages weighed as planned.
planned <- at("promising", "n_planned")
for (effect in c(0, at("promising", "effect"))) {
  found <- getSimulationMeans(two, groups = 2, normalApproximation = TRUE, meanRatio = FALSE,
    thetaH0 = 0, alternative = effect, stDev = 1, plannedSubjects = c(planned / 2, planned),
    minNumberOfSubjectsPerStage = c(NA, planned / 2),
    maxNumberOfSubjectsPerStage = c(NA, at("promising", "n_max") - planned / 2),
    conditionalPower = at("promising", "target"), maxNumberOfIterations = n_rep, seed = 20261123)
  add("promising_power", if (effect == 0) "null" else "effect", found$overallReject[1], 0,
    paste("simulation of", n_rep, "trials"))
}
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE)
