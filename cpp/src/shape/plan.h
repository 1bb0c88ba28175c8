// How a call is carried out: along spans or down columns. A plan depends on shape, roles and memory layout only.
#pragma once

#include "axes.h"

namespace fastnorm {

struct Plan {
    bool columns = false;
    Axes axes;  // all of them, in order

    // Spans: `kept` walks the groups, `reducing` their elements in order. The innermost stretch of neighbouring reduced
    // axes is the run; blocks are cut from runs, so that a strided array has the blocks of its contiguous copy.
    // Columns: `kept` walks what is left of the lanes, `reducing` the rows.
    Axes kept, reducing;
    std::size_t run = 1;

    // Columns: the lanes are a kept axis, or that with reduced ones inside of it, whose `width` lanes merge into one
    // group.
    Axis lane = kNoAxis;  // steps through the groups of lanes
    Axes lanes;           // all of them, numbered by `stat`
    std::size_t width = 1;
    // How many rows are summed as one, see folds.h.
    std::size_t folds = 1;
    // How many lanes share a parameter: `kept`, `reducing` and `lanes` step through parameters that are repeated as
    // often.
    std::size_t spread = 1;
    // Lanes of a group that have parameters of their own: all of its `width`, or 1.
    std::size_t cells = 1;
};

// `columns` = false asks for spans whatever the layout.
Plan make_plan(const Axes& axes, bool columns = true);

}  // namespace fastnorm
