// The GIL is let go while the library works, and taken again outside of every destructor: where the interpreter is
// ending, taking it ends the thread, and the unwinding must not meet anything that touches Python objects.
#pragma once

#include <Python.h>

namespace fastnorm_python {

class Gil {
public:
    void release() {
        if (!state_) state_ = PyEval_SaveThread();
    }
    void take() {
        if (!state_) return;
        PyThreadState* const state = state_;
        state_ = nullptr;
        PyEval_RestoreThread(state);
    }

private:
    PyThreadState* state_ = nullptr;
};

}  // namespace fastnorm_python
