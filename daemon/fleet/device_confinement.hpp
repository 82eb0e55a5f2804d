#pragma once

#include "core/foundation/error.hpp"

namespace seedbed {

/// Prevents the calling thread, and every program that it starts from then on, from opening or creating device nodes,
/// except those without hardware behind them, such as /dev/null and terminals (Landlock, landlock(7)). Access to files
/// outside /dev is unchanged; open descriptors remain usable. This cannot be undone. Unless the thread has
/// CAP_SYS_ADMIN, set-user-ID programs also lose their privileges (no_new_privs).
///
/// \return an error if the kernel lacks Landlock or refuses it; the thread is then not confined.
[[nodiscard]] result<void> deny_device_nodes_to_this_thread();

} // namespace seedbed
